package hooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/hooks"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// acceptor is a committer that can be full.
type acceptor struct {
	queue.Acceptor
	full bool
}

func (a *acceptor) Accept(ctx context.Context, b queue.Batch) (queue.Receipt, error) {
	if a.full {
		return queue.Receipt{}, &task.Error{Kind: task.Unavailable, Code: "QUEUE_FULL", Text: "too many events are waiting to be written"}
	}
	return a.Acceptor.Accept(ctx, b)
}

type world struct {
	*testing.T
	control *control.Control
	in      *acceptor
	admin   control.Caller
	url     string
	token   string
	log     *buffer
}

// buffer may be written while it is read.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := db.Open(t.Context(), db.Config{Path: filepath.Join(t.TempDir(), "lockstep.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	box, err := secret.NewBox(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, log: &buffer{}, admin: control.Caller{Project: "p", Role: task.Admin}}
	in := queue.NewCommitter(store, queue.CommitterConfig{})
	w.in = &acceptor{Acceptor: in}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	for !in.Accepting() {
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	w.control = control.New(control.Config{Store: store, Accept: w.in, Box: box})
	if _, err := store.CreateTask(t.Context(), task.Task{
		Project: "p", Name: "t", Source: task.Location{Endpoint: "e", Bucket: "src", Prefix: "in/"}, Destination: task.Location{Endpoint: "e", Bucket: "dst"},
	}, task.Actor{}); err != nil {
		t.Fatal(err)
	}
	_, token, err := w.control.PutHook(t.Context(), w.admin, "t", false)
	if err != nil {
		t.Fatal(err)
	}
	w.token = token.Reveal()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	router := api.NewRouter(api.Config{Log: log})
	router.Add(api.Route{Name: "s3-hook", Prefix: hooks.Root, Mask: hooks.Mask, Handler: hooks.New(hooks.Config{Control: w.control, Log: log})})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	w.url = server.URL
	// The committer runs once a batch is taken.
	for status := 0; status != http.StatusOK; status, _, _ = w.post(w.token, records("src", "in/first")) {
	}
	return w
}

// post sends a body to the hook of a token.
func (w *world) post(token, body string) (int, hooks.Answer, http.Header) {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url+"/hooks/s3/"+token, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) (int, hooks.Answer, http.Header) {
	w.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	var a hooks.Answer
	if req.Method != http.MethodHead {
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			w.Fatal(err)
		}
	}
	return resp.StatusCode, a, resp.Header
}

func (w *world) requested() int64 {
	w.Helper()
	s, err := w.control.Status(w.Context(), w.admin, "t")
	if err != nil {
		w.Fatal(err)
	}
	return s.Counts.Requested
}

func records(bucket string, keys ...string) string {
	var all []string
	for _, k := range keys {
		all = append(all, fmt.Sprintf(`{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":%q}}}`, bucket, k))
	}
	return `{"Records":[` + strings.Join(all, ",") + `]}`
}

func TestHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	was := w.requested()
	if status, a, _ := w.post(w.token, records("src", "in/a", "in/b", "out/c", "in/")); status != 200 || a.Accepted != 2 || a.OtherPrefix != 2 {
		t.Errorf("prefix: %d %+v", status, a)
	}
	if status, a, _ := w.post(w.token, records("other", "in/a")); status != 200 || a.Accepted != 0 || a.OtherBucket != 1 || !strings.Contains(a.Note, "src") {
		t.Errorf("bucket: %d %+v", status, a)
	}
	var many []string
	for i := range 2500 {
		many = append(many, fmt.Sprintf("in/%04d", i))
	}
	if status, a, _ := w.post(w.token, records("src", many...)); status != 200 || a.Accepted != 2500 {
		t.Errorf("many: %d %+v", status, a)
	}
	if got := w.requested() - was; got != 2502 {
		t.Errorf("%d records, want 2502", got)
	}
	if status, a, _ := w.post(w.token, `{"Event":"s3:TestEvent"}`); status != 200 || a.Note == "" {
		t.Errorf("test event: %d %+v", status, a)
	}
	for _, bad := range []string{"", "{", "{}", `{"Records":[{"s3":{"bucket":{"name":"src"},"object":{"key":"in/\ud800"}}}]}`, records("src", "")} {
		if status, _, _ := w.post(w.token, bad); status != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, status)
		}
	}
	if status, _, _ := w.post(w.token, strings.Repeat(" ", 9<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("large: %d", status)
	}
	w.in.full = true
	if status, _, h := w.post(w.token, records("src", "in/a")); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("full: %d %v", status, h)
	}
	w.in.full = false
	if _, err := w.control.StopTask(t.Context(), w.admin, "t"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := w.post(w.token, records("src", "in/a")); status != http.StatusConflict {
		t.Errorf("stopped: %d", status)
	}
	if strings.Contains(w.log.String(), w.token) {
		t.Error("the token is in the log")
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	send := func(method, path, authorization string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(records("src", "in/a")))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		status, _, _ := w.do(req)
		return status
	}
	for _, c := range []struct {
		method, path, authorization string
		want                        int
	}{
		{"POST", "/hooks/s3", "Bearer " + w.token, 200},
		{"POST", "/hooks/s3", "bearer " + w.token, 200},
		{"HEAD", "/hooks/s3/" + w.token, "", 200},
		{"DELETE", "/hooks/s3/" + w.token, "", 405},
		{"DELETE", "/hooks/s3/x", "", 404},
		{"POST", "/hooks/s3", "", 404},
		{"POST", "/hooks/s3", w.token, 404},
		{"POST", "/hooks/s3", "Basic " + w.token, 404},
		{"POST", "/hooks/s3/x", "Bearer " + w.token, 404},
		{"POST", "/hooks/s3/" + strings.ToLower(w.token), "", 404},
		{"POST", "/hooks/s3/" + w.token + "/x", "", 404},
	} {
		if got := send(c.method, c.path, c.authorization); got != c.want {
			t.Errorf("%s %s %s: %d, want %d", c.method, c.path, c.authorization, got, c.want)
		}
	}
	for _, role := range []task.Role{task.Viewer, task.EventOnly} {
		if _, _, err := w.control.PutHook(t.Context(), control.Caller{Project: "p", Role: role}, "t", true); task.KindOf(err) != task.Denied {
			t.Errorf("%s: %v", role, err)
		}
	}
	if _, _, err := w.control.PutHook(t.Context(), control.Caller{Project: "q", Role: task.Admin}, "t", true); task.KindOf(err) != task.NotFound {
		t.Errorf("another project: %v", err)
	}
	if _, _, err := w.control.PutHook(t.Context(), w.admin, "t", false); task.KindOf(err) != task.Conflict {
		t.Errorf("a second one: %v", err)
	}
	_, next, err := w.control.PutHook(t.Context(), w.admin, "t", true)
	if err != nil {
		t.Fatal(err)
	}
	if was, is := send("POST", "/hooks/s3/"+w.token, ""), send("POST", "/hooks/s3/"+next.Reveal(), ""); was != 404 || is != 200 {
		t.Errorf("rotated: %d, %d", was, is)
	}
	if err := w.control.DeleteHook(t.Context(), w.admin, "t"); err != nil {
		t.Fatal(err)
	}
	if is := send("POST", "/hooks/s3/"+next.Reveal(), ""); is != 404 {
		t.Errorf("removed: %d", is)
	}
	if err := w.control.DeleteHook(t.Context(), w.admin, "t"); task.KindOf(err) != task.NotFound {
		t.Errorf("removed twice: %v", err)
	}
}
