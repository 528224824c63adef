package native

import (
	"context"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewTask is a task to be made.
type NewTask struct {
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Source      Location     `json:"source"`
	Destination Location     `json:"destination"`
	Options     task.Options `json:"options,omitzero"`
	Shards      int          `json:"shards,omitempty" doc:"Number of lanes, fixed for good; 0: 16"`
	State       task.State   `json:"state,omitempty" enum:"active,paused,stopped" doc:"First state; none: active"`
}

// TaskChange says what to change; what is left out stays.
type TaskChange struct {
	Version     int64         `json:"version,omitempty" doc:"That of the task as it was read: refuses the change when somebody else was quicker"`
	Name        *string       `json:"name,omitempty"`
	Description *string       `json:"description,omitempty"`
	Source      *Location     `json:"source,omitempty" doc:"Only while the task is stopped"`
	Destination *Location     `json:"destination,omitempty" doc:"Only while the task is stopped"`
	Options     *task.Options `json:"options,omitempty" doc:"All of them: what is left out here gets its default"`
}

// ByTask names a task. What is embedded in an input is exported: huma passes over the rest.
type ByTask struct {
	Task string `path:"task" doc:"Id or name"`
}

func (a *API) tasks() {
	const tag = "tasks"
	create := at(http.MethodPost, "/tasks", "createTask", "Make a task", tag)
	create.DefaultStatus = http.StatusCreated
	add(a, create, a.createTask)
	add(a, at(http.MethodGet, "/tasks", "listTasks", "The tasks, oldest first", tag), a.listTasks)
	add(a, at(http.MethodGet, "/tasks/{task}", "getTask", "One task", tag),
		func(ctx context.Context, who control.Caller, in *ByTask) (*body[Task], error) {
			k, err := a.control.Task(ctx, who, in.Task)
			return &body[Task]{taskOf(k)}, err
		})
	add(a, at(http.MethodPatch, "/tasks/{task}", "changeTask", "Change a task", tag), a.changeTask)
	add(a, at(http.MethodDelete, "/tasks/{task}", "deleteTask", "Take a stopped task away", tag),
		func(ctx context.Context, who control.Caller, in *ByTask) (*none, error) {
			return &none{}, a.control.DeleteTask(ctx, who, in.Task)
		})
	for _, m := range []struct {
		verb, summary string
		move          func(context.Context, control.Caller, string) (task.Task, error)
	}{
		{"pause", "Accept events and keep them", a.control.PauseTask},
		{"resume", "Work again after a pause", a.control.ResumeTask},
		{"start", "Work again after a stop", a.control.StartTask},
		{"stop", "Refuse events and work no more", a.control.StopTask},
	} {
		add(a, at(http.MethodPost, "/tasks/{task}/"+m.verb, m.verb+"Task", m.summary, tag),
			func(ctx context.Context, who control.Caller, in *ByTask) (*body[Task], error) {
				k, err := m.move(ctx, who, in.Task)
				return &body[Task]{taskOf(k)}, err
			})
	}
}

func (a *API) createTask(ctx context.Context, who control.Caller, in *body[NewTask]) (*body[Task], error) {
	n := control.NewTask{Name: in.Body.Name, Description: in.Body.Description, Options: in.Body.Options, Shards: in.Body.Shards, State: in.Body.State}
	var err error
	if n.Source, err = in.Body.Source.place(); err != nil {
		return nil, err
	}
	if n.Destination, err = in.Body.Destination.place(); err != nil {
		return nil, err
	}
	k, err := a.control.CreateTask(ctx, who, n)
	return &body[Task]{taskOf(k)}, err
}

func (a *API) listTasks(ctx context.Context, who control.Caller, in *Paging) (*body[Page[Task]], error) {
	after, err := decodeCursor("tasks", in.Cursor)
	if err != nil {
		return nil, err
	}
	ks, err := a.control.Tasks(ctx, who, task.ID(after), in.Limit+1)
	return &body[Page[Task]]{pageOf(ks, in.Limit, taskOf, func(k task.Task) string { return encodeCursor("tasks", string(k.ID)) })}, err
}

func (a *API) changeTask(ctx context.Context, who control.Caller, in *struct {
	ByTask
	Body TaskChange
},
) (*body[Task], error) {
	b := in.Body
	ch := control.TaskChange{Version: b.Version, Name: b.Name, Description: b.Description, Options: b.Options}
	for _, l := range []struct {
		in  *Location
		out **task.Location
	}{{b.Source, &ch.Source}, {b.Destination, &ch.Destination}} {
		if l.in == nil {
			continue
		}
		place, err := l.in.place()
		if err != nil {
			return nil, err
		}
		*l.out = &place
	}
	k, err := a.control.ChangeTask(ctx, who, in.Task, ch)
	return &body[Task]{taskOf(k)}, err
}
