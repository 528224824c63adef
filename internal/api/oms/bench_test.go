//go:build unix

package oms_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/api/oms"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// bench is both dialects over one control, without a network between.
type bench struct {
	key   key
	task  task.ID
	front http.Handler
	ctx   func() context.Context
}

// newBench takes accepts into a database, or with in given there.
func newBench(tb testing.TB, in func(*db.Store) queue.Acceptor) *bench {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	store, err := db.Open(tb.Context(), db.Config{Path: filepath.Join(tb.TempDir(), "lockstep.db")})
	must(err)
	tb.Cleanup(func() { must(store.Close()) })
	box, err := secret.NewBox(secret.NewKey())
	must(err)
	c := control.New(control.Config{Store: store, Accept: in(store), Box: box, KeyRate: -1})
	k, s, _, err := c.EnsureKey(tb.Context(), "p1", "", secret.String{})
	must(err)
	admin := control.Caller{Project: "p1", Role: task.Admin}
	for _, name := range []task.EndpointID{"a", "b"} {
		_, err = c.CreateEndpoint(tb.Context(), admin, control.NewEndpoint{ID: name, Provider: "mem"})
		must(err)
	}
	made, err := c.CreateTask(tb.Context(), admin, control.NewTask{Name: "t", Source: task.Location{Endpoint: "a", Bucket: "a"}, Destination: task.Location{Endpoint: "b", Bucket: "b"}})
	must(err)
	router := api.NewRouter(api.Config{})
	router.Add(api.Route{Name: "oms", Match: oms.Answers, MaxBody: -1, Handler: oms.New(oms.Config{Control: c, AddressRate: -1})})
	router.Add(api.Route{Name: "native", Prefix: native.Root, MaxBody: -1, Handler: native.New(native.Config{Control: c})})
	return &bench{key: key{"p1", string(k.ID), s.Reveal()}, task: made.ID, front: router, ctx: tb.Context}
}

// noQueue accepts everything and does nothing, so that what is measured is what comes
// before.
type noQueue struct{}

func (noQueue) Accept(context.Context, queue.Batch) (queue.Receipt, error) {
	return queue.Receipt{At: time.Unix(1, 0)}, nil
}

func tenKeys(from int64) []string {
	keys := make([]string, 10)
	for i := range keys {
		keys[i] = fmt.Sprintf("photos%%2F2026%%2F%08d.jpg", from*10+int64(i))
	}
	return keys
}

// signed is a request of ten keys by the OMS dialect.
func (b *bench) signed(n int64) *http.Request {
	body := objectKeys(tenKeys(n)...)
	req := httptest.NewRequestWithContext(b.ctx(), http.MethodPost, "http://h:1/v2/p1/sync-tasks/"+string(b.task)+"/events", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	req.Header.Set("User-Agent", "huaweicloud-usdk-go/3.0")
	req.Header.Set("X-Project-Id", "p1")
	signRequest(req, b.key, "user-agent;x-project-id;x-sdk-date", body, time.Now())
	return req
}

// basic is the same by /api/v1.
func (b *bench) basic(n int64) *http.Request {
	keys := tenKeys(n)
	for i := range keys {
		keys[i] = strings.ReplaceAll(keys[i], "%2F", "/")
	}
	body := strings.Replace(objectKeys(keys...), "object_keys", "keys", 1)
	req := httptest.NewRequestWithContext(b.ctx(), http.MethodPost, "http://h:1/api/v1/tasks/"+string(b.task)+"/events", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(b.key.id, b.key.secret)
	return req
}

// nothing is a ResponseWriter that keeps the status alone.
type nothing struct {
	header http.Header
	status int
}

func (w *nothing) Header() http.Header         { return w.header }
func (w *nothing) WriteHeader(s int)           { w.status = s }
func (w *nothing) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkEvents measures a request of ten keys: front is signature and routing alone,
// beside the whole way onto the disk, next to the same by /api/v1.
func BenchmarkEvents(b *testing.B) {
	b.Run("front", func(b *testing.B) {
		w := newBench(b, func(*db.Store) queue.Acceptor { return noQueue{} })
		req := w.signed(1)
		body, err := io.ReadAll(req.Body)
		if err != nil {
			b.Fatal(err)
		}
		text := string(body)
		b.ReportAllocs()
		start := cpu(b)
		for b.Loop() {
			req.Body = io.NopCloser(strings.NewReader(text))
			out := nothing{header: http.Header{}}
			w.front.ServeHTTP(&out, req)
			if out.status != 200 {
				b.Fatal(out.status)
			}
		}
		b.ReportMetric(float64((cpu(b)-start).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
	})
	b.Run("beside", benchBeside)
}

// benchBeside sends as many requests by either dialect from 64 clients each, whose accepts
// share transactions, in turns: what else the machine does meets both alike.
func benchBeside(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	b.Cleanup(func() { cancel(); running.Wait() })
	w := newBench(b, func(store *db.Store) queue.Acceptor {
		in := queue.NewCommitter(store, queue.CommitterConfig{})
		running.Go(func() { _ = in.Run(ctx) })
		for !in.Accepting() {
			time.Sleep(time.Millisecond)
		}
		return in
	})
	const turn = 250
	var n int64
	took := map[string]time.Duration{}
	for sent := 0; sent < b.N; sent += turn {
		for name, request := range map[string]func(*bench, int64) *http.Request{"oms": (*bench).signed, "native": (*bench).basic} {
			requests := make(chan *http.Request, turn)
			for range turn {
				n++
				requests <- request(w, n) // signing is the client's affair
			}
			close(requests)
			start := time.Now()
			w.sendAll(b, requests)
			took[name] += time.Since(start)
		}
	}
	total := float64((b.N+turn-1)/turn*turn) * 10
	b.ReportMetric(total/took["oms"].Seconds(), "oms-keys/s")
	b.ReportMetric(total/took["native"].Seconds(), "native-keys/s")
	b.ReportMetric(took["native"].Seconds()/took["oms"].Seconds(), "oms/native")
}

// sendAll sends requests from 64 clients.
func (w *bench) sendAll(b *testing.B, requests <-chan *http.Request) {
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for req := range requests {
				out := nothing{header: http.Header{}}
				if w.front.ServeHTTP(&out, req); out.status/100 != 2 {
					b.Error(out.status)
				}
			}
		})
	}
	clients.Wait()
}

// cpu is what this process has used.
func cpu(tb testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// What BenchmarkEvents/front must stay below does not depend on the machine.
func TestEventRequestAllocations(t *testing.T) {
	w := newBench(t, func(*db.Store) queue.Acceptor { return noQueue{} })
	req := w.signed(1)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	n := testing.AllocsPerRun(200, func() {
		req.Body = io.NopCloser(strings.NewReader(text))
		out := nothing{header: http.Header{}}
		w.front.ServeHTTP(&out, req)
	})
	if n > 120 {
		t.Errorf("%v allocations for a request of ten keys, at most 120", n)
	}
}
