package control

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewTask is a task to be made.
type NewTask struct {
	Name        string
	Description string
	Source      task.Location
	Destination task.Location
	Options     task.Options
	// Shards is the number of lanes; 0: task.DefaultShards.
	Shards int
	// State is the first state; empty: active.
	State task.State
	Ext   map[task.Dialect][]byte
	// Given are credentials that come with the task; nil: none do.
	Given *Given
	// Most is how many tasks the project may have that were made in the caller's dialect;
	// 0: any number.
	Most int
}

// CreateTask makes a task in the caller's project. Conflict: its name is taken, or its
// destination overlaps another task's, which the error names; or CodeTooManyTasks.
func (c *Control) CreateTask(ctx context.Context, who Caller, n NewTask) (task.Task, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Task{}, err
	}
	k := task.Task{
		Project: who.Project, Name: n.Name, Description: n.Description, Source: n.Source, Destination: n.Destination,
		State: n.State, Shards: n.Shards, Options: n.Options, Origin: who.Actor.Dialect, Ext: n.Ext,
	}
	if k.State == "" {
		k.State = task.Active
	}
	if n.Shards < 0 || n.Shards > maxShards {
		return task.Task{}, invalid("BAD_SHARDS", "a task has 1 to "+strconv.Itoa(maxShards)+" lanes", "leave it out for "+strconv.Itoa(task.DefaultShards))
	}
	if err := checkTask(k); err != nil {
		return task.Task{}, err
	}
	if err := c.checkPlaces(ctx, k); err != nil {
		return task.Task{}, err
	}
	if err := c.checkEncrypt(ctx, k); err != nil {
		return task.Task{}, err
	}
	if n.Given == nil {
		if err := c.checkCDN(ctx, who, k, nil); err != nil {
			return task.Task{}, err
		}
	} else {
		k.ID = task.NewID()
		var err error
		if k.Sealed, err = c.seal(ctx, who, k, *n.Given); err != nil {
			return task.Task{}, err
		}
	}
	return c.store.CreateTaskWithin(ctx, k, n.Most, who.Actor)
}

// TaskChange says what of a task to change; nil fields stay.
type TaskChange struct {
	// Version is that of the task as the client read it; 0: whatever it is now.
	Version     int64
	Name        *string
	Description *string
	Source      *task.Location // only while the task is stopped
	Destination *task.Location // only while the task is stopped
	Options     *task.Options
	Ext         map[task.Dialect][]byte // merged by dialect
}

// ChangeTask changes a task. Conflict: it was changed since Version, or what CreateTask
// refuses.
func (c *Control) ChangeTask(ctx context.Context, who Caller, ref string, ch TaskChange) (task.Task, error) {
	return c.updateTask(ctx, who, ref, ch.Version, func(k *task.Task) error {
		via := k.Options.SourceCDN
		set(&k.Name, ch.Name)
		set(&k.Description, ch.Description)
		set(&k.Options, ch.Options)
		if ch.Ext != nil {
			ext := map[task.Dialect][]byte{}
			for _, from := range []map[task.Dialect][]byte{k.Ext, ch.Ext} {
				maps.Copy(ext, from)
			}
			k.Ext = ext
		}
		redirected := k.Options.SourceCDN != via
		moved := redirected || ch.Source != nil && *ch.Source != k.Source || ch.Destination != nil && *ch.Destination != k.Destination
		if moved && k.State != task.Stopped {
			return &task.Error{Kind: task.Conflict, Code: "TASK_NOT_STOPPED", Text: "the places of a task, and its source's CDN, change only while it is stopped", Next: "stop it first"}
		}
		if moved {
			k.Sealed = nil // credentials are for the store they were given for
		}
		set(&k.Source, ch.Source)
		set(&k.Destination, ch.Destination)
		if err := checkTask(*k); err != nil {
			return err
		}
		if redirected { // a key that it needs is given when the task is started
			if err := c.cfg.Hosts.AllowCDN(k.Options.SourceCDN); err != nil {
				return err
			}
		}
		if moved {
			if err := c.checkPlaces(ctx, *k); err != nil {
				return err
			}
		}
		return c.checkEncrypt(ctx, *k)
	})
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// updateTask reads a task, changes it and stores it; when somebody else was quicker and
// the client named no version, again.
func (c *Control) updateTask(ctx context.Context, who Caller, ref string, version int64, change func(*task.Task) error) (task.Task, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Task{}, err
	}
	for try := 1; ; try++ {
		k, err := c.task(ctx, who, ref)
		if err != nil {
			return task.Task{}, err
		}
		read := k.Version
		if version != 0 {
			k.Version = version
		}
		if err := change(&k); err != nil {
			return task.Task{}, err
		}
		n, err := c.store.ChangeTask(ctx, k, who.Actor)
		if err == nil || version != 0 || try == 5 || task.KindOf(err) != task.Conflict {
			c.forget(k)
			return n, err
		}
		// Conflict for another reason than the version stays one.
		if now, e := c.store.Task(ctx, k.ID); e != nil || now.Version == read {
			return task.Task{}, err
		}
	}
}

// Task returns a task of the caller's project by id or name.
func (c *Control) Task(ctx context.Context, who Caller, ref string) (task.Task, error) {
	if err := who.may(mayRead); err != nil {
		return task.Task{}, err
	}
	return c.task(ctx, who, ref)
}

func (c *Control) task(ctx context.Context, who Caller, ref string) (k task.Task, err error) {
	if id := task.ID(ref); id.Valid() {
		k, err = c.store.Task(ctx, id)
	} else {
		k, err = c.store.TaskNamed(ctx, who.Project, ref)
	}
	if task.KindOf(err) == task.NotFound || err == nil && k.Project != who.Project {
		return task.Task{}, notFound("TASK_NOT_FOUND", "there is no such task", "list them with: lockstep status")
	}
	return k, err
}

// Tasks returns up to limit tasks of the caller's project that were made after one; an
// empty after begins at the oldest.
func (c *Control) Tasks(ctx context.Context, who Caller, after task.ID, limit int) ([]task.Task, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	if who.Project == "" {
		return nil, errNoProject
	}
	return c.store.Tasks(ctx, who.Project, after, limit)
}

// DeleteTask takes a stopped task away. What waits of it ends failed TASK_DELETED; its
// history stays.
func (c *Control) DeleteTask(ctx context.Context, who Caller, ref string) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return err
	}
	defer c.forget(k)
	return c.store.DeleteTask(ctx, k.ID, who.Actor)
}

// checkPlaces checks what needs other rows: the endpoints exist, neither place holds
// lists of ours, and no other task writes to the destination under another endpoint's
// name. The store itself refuses overlaps under the same name, in the transaction that
// writes the task.
func (c *Control) checkPlaces(ctx context.Context, k task.Task) error {
	all, err := c.store.Endpoints(ctx, k.Project)
	if err != nil {
		return err
	}
	byID := map[task.EndpointID]task.Endpoint{}
	for _, e := range all {
		byID[e.ID] = e
	}
	for _, l := range []task.Location{k.Source, k.Destination} {
		if _, ok := byID[l.Endpoint]; !ok {
			return invalid("ENDPOINT_UNKNOWN", "there is no endpoint "+strconv.Quote(string(l.Endpoint)), "add it with: lockstep endpoint add")
		}
		if inside, err := c.holdsLists(ctx, l.Prefix, ""); inside || err != nil {
			if err == nil {
				err = invalid("LIST_PREFIX", "keys below "+strconv.Quote(l.Prefix)+" are lists that Lockstep writes", "choose another prefix")
			}
			return err
		}
	}
	if sameService(byID[k.Source.Endpoint], byID[k.Destination.Endpoint]) {
		src := k.Source
		src.Endpoint = k.Destination.Endpoint
		if src.Overlaps(k.Destination) {
			return invalid("SOURCE_IS_DESTINATION", "source and destination overlap", "choose another bucket or prefix")
		}
	}
	return c.checkAliases(ctx, k, byID)
}

// checkAliases looks for overlaps with tasks whose endpoint is the same service under
// another name.
func (c *Control) checkAliases(ctx context.Context, k task.Task, byID map[task.EndpointID]task.Endpoint) error {
	dst := byID[k.Destination.Endpoint]
	same := map[task.EndpointID]bool{}
	for id, e := range byID {
		if id != dst.ID && sameService(e, dst) {
			same[id] = true
		}
	}
	const page = 1000
	for after, more := task.ID(""), len(same) > 0; more; {
		others, err := c.store.Tasks(ctx, k.Project, after, page)
		if err != nil {
			return err
		}
		for _, o := range others {
			l := o.Destination
			if !same[l.Endpoint] || o.ID == k.ID {
				continue
			}
			if l.Endpoint = dst.ID; l.Overlaps(k.Destination) {
				return &task.Error{
					Kind: task.Conflict, Code: "DESTINATION_OVERLAPS",
					Text: "the destination overlaps that of task " + strconv.Quote(o.Name), Next: "choose another bucket or prefix",
				}
			}
		}
		if more = len(others) == page; more {
			after = others[page-1].ID
		}
	}
	return nil
}

// checkEncrypt refuses a task whose destination certainly encrypts nothing.
func (c *Control) checkEncrypt(ctx context.Context, k task.Task) error {
	if k.Options.Encrypt == "" {
		return nil
	}
	e, err := c.store.Endpoint(ctx, k.Project, k.Destination.Endpoint)
	if err != nil {
		return err
	}
	if e.Provider == "file" || e.Provider == "mem" {
		return invalid("ENCRYPTION_UNSUPPORTED", "the store "+strconv.Quote(string(e.ID))+" does not encrypt what it holds", "encrypt its file system, and leave the option out")
	}
	return nil
}

// sameService says whether two endpoints are certainly one service.
func sameService(a, b task.Endpoint) bool {
	if a.ID == b.ID {
		return true
	}
	where := func(e task.Endpoint) []string {
		u, err := url.Parse(e.URL)
		if err != nil || e.URL == "" {
			return []string{e.Provider, e.Region}
		}
		return []string{strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")}
	}
	return slices.Equal(where(a), where(b)) && (a.URL != "" || a.Provider == "aws")
}
