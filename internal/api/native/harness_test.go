package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// world is the dialect over a real database, in process on a port of its own.
type world struct {
	testing.TB
	url     string
	db      *db.Store
	control *control.Control
	stores  *stores
	log     *lockedBuffer
	stop    chan struct{}

	admin, operator, viewer, sender client // of project "p"
	stranger                        client // admin of project "q"
}

type client struct{ id, secret string }

// stores keeps buckets in memory, by endpoint and bucket.
type stores struct {
	mu      sync.Mutex
	buckets map[string]objstore.Bucket
}

func (s *stores) Bucket(_ context.Context, project task.ProjectID, l task.Location) (objstore.Bucket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := string(project) + "/" + string(l.Endpoint) + "/" + l.Bucket
	if s.buckets[name] == nil {
		s.buckets[name] = mem.New(name)
	}
	return objstore.Sub(s.buckets[name], l.Prefix), nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	store, err := db.Open(tb.Context(), db.Config{Path: filepath.Join(tb.TempDir(), "lockstep.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	box, err := secret.NewBox(secret.NewKey())
	if err != nil {
		tb.Fatal(err)
	}
	w := &world{TB: tb, db: store, stores: &stores{buckets: map[string]objstore.Bucket{}}, log: &lockedBuffer{}, stop: make(chan struct{})}
	in := queue.NewCommitter(store, queue.CommitterConfig{})
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	tb.Cleanup(func() { cancel(); wg.Wait() })
	awaitRunning(tb, in)

	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.control = control.New(control.Config{Store: store, Accept: in, Box: box, Stores: w.stores, KeyRate: -1})
	router := api.NewRouter(api.Config{Log: log, Ready: store.Ping})
	router.Add(api.Route{
		Name: "native", Prefix: native.Root, MaxBody: -1,
		Handler: native.New(native.Config{Control: w.control, Log: log, Stopping: w.stop, LiveEvery: 1e6}),
	})
	server := httptest.NewServer(router)
	tb.Cleanup(server.Close)
	w.url = server.URL

	k, s, _, err := w.control.EnsureKey(tb.Context(), "p", "", secret.String{})
	w.must(err)
	w.admin = client{string(k.ID), s.Reveal()}
	k, s, _, err = w.control.EnsureKey(tb.Context(), "q", "", secret.String{})
	w.must(err)
	w.stranger = client{string(k.ID), s.Reveal()}
	for role, c := range map[task.Role]*client{task.Operator: &w.operator, task.Viewer: &w.viewer, task.EventOnly: &w.sender} {
		var made struct{ ID, Secret string }
		w.want(w.admin, "POST", "/keys", `{"role":"`+string(role)+`"}`, 201, &made)
		*c = client{made.ID, made.Secret}
	}
	return w
}

// awaitRunning returns once batches get another answer than "not now".
func awaitRunning(tb testing.TB, in queue.Acceptor) {
	tb.Helper()
	for {
		_, err := in.Accept(tb.Context(), queue.Batch{Task: task.NewID(), Entries: []queue.Entry{{Key: "x"}}})
		if task.KindOf(err) == task.NotFound {
			return
		}
		if tb.Context().Err() != nil {
			tb.Fatal(err)
		}
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// httpClient follows no redirect: none may ever be answered.
var httpClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
	return errors.New("redirected")
}, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (w *world) do(c client, method, path, body string, header ...string) answer {
	w.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+native.Root+path, in)
	w.must(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.id != "" {
		req.SetBasicAuth(c.id, c.secret)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := httpClient.Do(req)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	return answer{resp.StatusCode, resp.Header, raw}
}

// want makes a request, wants the status, and decodes the answer into out unless it is nil.
func (w *world) want(c client, method, path, body string, status int, out any, header ...string) answer {
	w.Helper()
	a := w.do(c, method, path, body, header...)
	if a.status != status {
		w.Fatalf("%s %s %s: %d, want %d\n%s", method, path, body, a.status, status, a.body)
	}
	if a.header.Get("X-Request-Id") == "" {
		w.Fatalf("%s %s: no request id", method, path)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			w.Fatalf("%s %s: %v in %s", method, path, err, a.body)
		}
	}
	return a
}

// refused wants a problem with a code and a request id.
func (w *world) refused(c client, method, path, body string, status int, code string, header ...string) native.Problem {
	w.Helper()
	var p native.Problem
	a := w.want(c, method, path, body, status, &p, header...)
	if p.Code != code || p.Status != status || p.Detail == "" || p.Title == "" || p.RequestID != a.header.Get("X-Request-Id") {
		w.Fatalf("%s %s %s: %s, want code %s", method, path, body, a.body, code)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		w.Fatalf("%s %s: a problem of type %q", method, path, ct)
	}
	return p
}

// addTask makes two endpoints and a task over them.
func (w *world) addTask(name string) native.Task {
	w.Helper()
	for _, e := range []string{"src", "dst"} {
		if w.do(w.admin, "GET", "/endpoints/"+e, "").status == 404 {
			w.want(w.admin, "POST", "/endpoints", `{"name":"`+e+`","provider":"mem","credentials":{"access_key":"AK","secret_key":"s3cr3t-`+e+`"}}`, 201, nil)
		}
	}
	var k native.Task
	w.want(w.operator, "POST", "/tasks", fmt.Sprintf(
		`{"name":%q,"source":{"endpoint":"src","bucket":"b"},"destination":{"endpoint":"dst","bucket":"b","prefix":%q},"shards":4}`, name, name+"/"), 201, &k)
	return k
}

// work settles what is due of all tasks as end says.
func (w *world) work(end func(queue.Record) queue.Settlement) {
	w.Helper()
	for {
		lanes, err := w.db.ClaimLanes(w.Context(), "n", 100, 60e9)
		w.must(err)
		if len(lanes) == 0 {
			return
		}
		for _, l := range lanes {
			slice, err := w.db.Slice(w.Context(), l.LaneID, 1000, nil)
			w.must(err)
			var done []queue.Settlement
			for _, r := range slice.Records {
				done = append(done, end(r))
			}
			_, err = w.db.Settle(w.Context(), l, done)
			w.must(err)
			w.must(w.db.ReleaseLanes(w.Context(), []queue.Lane{l}))
		}
	}
}

func failing(r queue.Record) queue.Settlement {
	return queue.Settlement{Record: r, Outcome: task.Failed, Reason: task.DestinationDenied, Cause: "no", Code: "AccessDenied", Size: 3}
}

func syncing(r queue.Record) queue.Settlement {
	return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 3}
}
