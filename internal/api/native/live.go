package native

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// streamPatience is how long a client of a stream may take for one message.
const streamPatience = 10 * time.Second

// quietTime is how long a stream says nothing before it says that it is still there.
const quietTime = 15 * time.Second

// live registers the stream of a task's status as server-sent events: one named status
// whenever it differs from the one before, and comments between them.
func (a *API) live() {
	op := at(http.MethodGet, "/tasks/{task}/live", "watchStatus", "Status as server-sent events, whenever it changes", "results")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events named status; their data is a Status",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	add(a, op, func(ctx context.Context, who control.Caller, in *ByTask) (*huma.StreamResponse, error) {
		first, err := a.control.Status(ctx, who, in.Task)
		if err != nil {
			return nil, err
		}
		select {
		case a.streams <- struct{}{}:
		default:
			return nil, &task.Error{Kind: task.Unavailable, Code: "TOO_MANY_STREAMS", Text: "there are too many live streams", Next: "ask for /status instead"}
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer func() { <-a.streams }()
			if r, w := humago.Unwrap(hc); r.Method != http.MethodHead {
				a.stream(ctx, w, who, first)
			}
		}}, nil
	})
}

// stream writes until the client goes, the process stops, or the task does not answer.
func (a *API) stream(ctx context.Context, w http.ResponseWriter, who control.Caller, s control.Status) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	send := func(text []byte) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(streamPatience)) // where there are none, the client's end ends it
		_, err := w.Write(text)
		return err == nil && conn.Flush() == nil
	}
	tick := time.NewTicker(a.cfg.LiveEvery)
	defer tick.Stop()
	var sent control.Status
	var sentAt time.Time
	for {
		switch {
		case sentAt.IsZero() || s.Task.Version != sent.Task.Version || s.Counts != sent.Counts || s.Marks.Proven != sent.Marks.Proven:
			data, err := json.Marshal(statusOf(s))
			if err != nil || !send([]byte("event: status\ndata: "+string(data)+"\n\n")) {
				return
			}
			sent, sentAt = s, time.Now()
		case time.Since(sentAt) > quietTime:
			if !send([]byte(": still here\n\n")) {
				return
			}
			sentAt = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-a.cfg.Stopping:
			_, _ = io.WriteString(w, "event: stopping\ndata: {}\n\n") // the client may be gone
			return
		}
		var err error
		if s, err = a.control.Status(ctx, who, string(s.Task.ID)); err != nil {
			return
		}
	}
}
