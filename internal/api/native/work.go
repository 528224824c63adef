package native

import (
	"context"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Events name keys: keys for those that are UTF-8, events for the others and for more.
type Events struct {
	Keys   []string `json:"keys,omitempty" maxItems:"1000" nullable:"false" doc:"Keys without the source's prefix"`
	Events []Event  `json:"events,omitempty" maxItems:"1000" nullable:"false"`
}

// Event is one key.
type Event struct {
	Key
	NotBefore *time.Time `json:"not_before,omitempty" doc:"Delays the work on the key"`
}

func (e Events) events() ([]control.Event, error) {
	out := make([]control.Event, 0, len(e.Keys)+len(e.Events))
	for _, k := range e.Keys {
		out = append(out, control.Event{Key: k})
	}
	for _, ev := range e.Events {
		key, err := ev.bytes()
		if err != nil {
			return nil, err
		}
		n := control.Event{Key: key}
		if ev.NotBefore != nil {
			n.NotBefore = *ev.NotBefore
		}
		out = append(out, n)
	}
	return out, nil
}

// Accepted says what became of events.
type Accepted struct {
	Job     task.JobID `json:"job,omitempty"`
	At      *time.Time `json:"at,omitempty"`
	Keys    int        `json:"keys" doc:"Records there are now"`
	Skipped int        `json:"skipped" doc:"Keys of lists that Lockstep itself writes"`
}

// Retry selects failed records; empty fields select all.
type Retry struct {
	Job    task.JobID  `json:"job,omitempty"`
	Reason task.Reason `json:"reason,omitempty"`
	Key
}

// manifestOperation takes a body that is no JSON and of any length.
const manifestOperation = "startManifest"

func (a *API) work() {
	const tag = "work"
	events := at(http.MethodPost, "/tasks/{task}/events", "sendEvents", "Name up to 1,000 keys to be synced", tag)
	events.Description = "When it answers 202 the keys are on disk."
	events.DefaultStatus = http.StatusAccepted
	add(a, events, a.sendEvents)
	scan := at(http.MethodPost, "/tasks/{task}/scan", "startScan", "Compare both sides", tag)
	scan.DefaultStatus = http.StatusAccepted
	add(a, scan, func(ctx context.Context, who control.Caller, in *ByTask) (*body[Job], error) {
		j, err := a.control.StartScan(ctx, who, in.Task)
		return &body[Job]{jobOf(j)}, err
	})
	retry := at(http.MethodPost, "/tasks/{task}/retry", "retry", "Try failed records again", tag)
	retry.DefaultStatus = http.StatusAccepted
	add(a, retry, a.retry)
	a.manifest(tag)
	add(a, at(http.MethodPost, "/jobs/{job}/cancel", "cancelJob", "End what waits of a job", tag),
		func(ctx context.Context, who control.Caller, in *ByJob) (*body[Job], error) {
			j, err := a.control.CancelJob(ctx, who, in.Job)
			return &body[Job]{jobOf(j)}, err
		})
}

func (a *API) sendEvents(ctx context.Context, who control.Caller, in *struct {
	ByTask
	Body Events
},
) (*body[Accepted], error) {
	events, err := in.Body.events()
	if err != nil {
		return nil, err
	}
	r, err := a.control.AcceptEvents(ctx, who, in.Task, events)
	return &body[Accepted]{Accepted{r.Job, when(r.At), r.Keys, r.Skipped}}, err
}

func (a *API) retry(ctx context.Context, who control.Caller, in *struct {
	ByTask
	Body *Retry
},
) (*body[Job], error) {
	var r Retry
	if in.Body != nil {
		r = *in.Body
	}
	key, err := r.bytes()
	if err != nil {
		return nil, err
	}
	j, err := a.control.Retry(ctx, who, in.Task, control.Retry{Job: r.Job, Reason: r.Reason, Key: key})
	return &body[Job]{jobOf(j)}, err
}

// manifestInput hands the body on as it comes.
type manifestInput struct {
	ByTask
	Type string `header:"Content-Type" doc:"text/csv, or application/jsonl"`
	body io.Reader
}

// Resolve implements huma.Resolver.
func (in *manifestInput) Resolve(ctx huma.Context) []error {
	in.body = ctx.BodyReader()
	return nil
}

var _ huma.Resolver = (*manifestInput)(nil)

func (a *API) manifest(tag string) {
	op := at(http.MethodPost, "/tasks/{task}/manifest", manifestOperation, "Name any number of keys to be synced", tag)
	op.Description = "CSV: the column key, else the first one. JSON lines: strings, or objects with key or key_base64. " +
		"A line that cannot be read cancels the job."
	op.DefaultStatus = http.StatusAccepted
	lines := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/csv": lines, "application/jsonl": lines}}
	add(a, op, func(ctx context.Context, who control.Caller, in *manifestInput) (*body[Job], error) {
		kind, _, _ := mime.ParseMediaType(in.Type)
		format := map[string]control.ManifestFormat{
			"text/csv": control.ManifestCSV, "application/jsonl": control.ManifestJSONL, "application/x-ndjson": control.ManifestJSONL,
		}[kind]
		if format == "" {
			return nil, &task.Error{
				Kind: task.Invalid, Code: codeMediaType, Text: "a manifest is text/csv or application/jsonl by its Content-Type",
				Next: "say which",
			}
		}
		j, err := a.control.StartManifest(ctx, who, in.Task, format, in.body)
		return &body[Job]{jobOf(j)}, err
	})
}
