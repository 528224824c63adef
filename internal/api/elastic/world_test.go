package elastic_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/elastic"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// world is the dialect over a real database, in process on a port of its own. Its clock
// begins on a day that recorded exchanges know by sight.
type world struct {
	testing.TB
	url     string
	path    string // of the database
	db      *db.Store
	control *control.Control
	users   map[string]user
}

// user is an access key.
type user struct{ id, secret string }

func (u user) apiKey() string {
	return base64.StdEncoding.EncodeToString([]byte(u.id + ":" + u.secret))
}

var clockStart = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

type buckets struct{}

func (buckets) Bucket(_ context.Context, _ task.ProjectID, l task.Location) (objstore.Bucket, error) {
	return mem.New(l.Bucket), nil
}

// template is an empty database: copying it costs less than migrating each anew.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "lockstep-template-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "lockstep.db")
	store, err := db.Open(context.Background(), db.Config{Path: path}) // it outlives the first test
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func newWorld(tb testing.TB) *world {
	tb.Helper()
	empty, err := template()
	if err != nil {
		tb.Fatal(err)
	}
	began := time.Now()
	now := func() time.Time { return clockStart.Add(time.Since(began)) }
	path := filepath.Join(tb.TempDir(), "lockstep.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		tb.Fatal(err)
	}
	store, err := db.Open(tb.Context(), db.Config{Path: path, Now: now})
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
	in := queue.NewCommitter(store, queue.CommitterConfig{})
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	for !in.Accepting() {
		time.Sleep(time.Millisecond)
	}
	tb.Cleanup(func() { cancel(); wg.Wait() })
	w := &world{TB: tb, path: path, db: store, users: map[string]user{"stranger": {"LSNOBODY", "no-such-secret"}}}
	w.control = control.New(control.Config{Store: store, Accept: in, Box: box, Stores: buckets{}, KeyRate: -1, Now: now})
	log := slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	router := api.NewRouter(api.Config{Log: log})
	handler := elastic.New(elastic.Config{Control: w.control, Log: log, Now: now})
	router.Add(api.Route{Name: "elastic", Match: elastic.SystemPath, MaxBody: elastic.MaxBody, Handler: handler})
	router.Add(api.Route{Name: "elastic", Method: http.MethodDelete, Match: elastic.IndexPath, Handler: handler})
	server := httptest.NewServer(router)
	tb.Cleanup(server.Close)
	w.url = server.URL
	for _, project := range []task.ProjectID{"p", "q"} {
		for _, role := range []task.Role{task.Admin, task.Operator, task.Viewer, task.EventOnly} {
			k, s, err := w.control.CreateKey(tb.Context(), control.Caller{Project: project, Role: task.Admin}, control.NewKey{Role: role})
			w.must(err)
			name := string(role)
			if project == "q" {
				name = "other-" + name
			}
			w.users[name] = user{string(k.ID), s.Reveal()}
		}
	}
	return w
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
}, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request; who is a name of w.users, or "nobody".
func (w *world) do(who, method, path, body string, header ...string) reply {
	w.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, in)
	w.must(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if u, known := w.users[who]; known {
		req.Header.Set("Authorization", "ApiKey "+u.apiKey())
	} else if who != "nobody" {
		w.Fatalf("who is %q?", who)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := httpClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		w.Fatalf("%s %s: no product header, which clients insist on", method, path)
	}
	return reply{resp.StatusCode, resp.Header, raw}
}

// want sends a request as the operator, wants the status, and decodes the answer.
func (w *world) want(method, path, body string, status int) map[string]any {
	w.Helper()
	r := w.do("operator", method, path, body)
	if r.status != status {
		w.Fatalf("%s %s %s: %d, want %d\n%s", method, path, body, r.status, status, r.body)
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.UseNumber()
	var out map[string]any
	if err := dec.Decode(&out); err != nil {
		w.Fatalf("%s %s: %v in %s", method, path, err, r.body)
	}
	return out
}

func (w *world) operator() control.Caller {
	return control.Caller{Project: "p", Role: task.Operator, Actor: task.Actor{Dialect: task.Native}}
}

// addTask makes two endpoints and a task over them.
func (w *world) addTask(name string) task.Task {
	w.Helper()
	admin := control.Caller{Project: "p", Role: task.Admin}
	for _, e := range []task.EndpointID{"src", "dst"} {
		if _, err := w.control.Endpoint(w.Context(), admin, e); err == nil {
			continue
		}
		_, err := w.control.CreateEndpoint(w.Context(), admin, control.NewEndpoint{ID: e, Provider: "mem"})
		w.must(err)
	}
	k, err := w.control.CreateTask(w.Context(), w.operator(), control.NewTask{
		Name: name, Description: "Keeps books", Shards: 2,
		Source: task.Location{Endpoint: "src", Bucket: "b"}, Destination: task.Location{Endpoint: "dst", Bucket: "b", Prefix: name + "/"},
	})
	w.must(err)
	return k
}

// settle ends all that is due of a task as end says.
func (w *world) settle(end func(queue.Record) queue.Settlement) {
	w.Helper()
	for {
		lanes, err := w.db.ClaimLanes(w.Context(), "n", 100, time.Minute)
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
