package dbtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testAuditChain(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	by := task.Actor{Key: "k", Dialect: task.OMS, Address: "127.0.0.1", Request: "r1"}
	w.must(w.s.PutSetting(t.Context(), "s", []byte("1"), by))
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if err := w.s.PutSetting(t.Context(), fmt.Sprint("s", i), nil, by); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n, broken, err := w.s.VerifyAudit(t.Context())
	w.must(err)
	if n != 12 || broken != 0 { // the task's creation is the first
		t.Fatalf("%d entries, broken at %d", n, broken)
	}
	all, err := w.s.Audit(t.Context(), "", 0, 100)
	w.must(err)
	if len(all) != 12 || all[0].Num != 12 || all[11].Action != "task.create" || all[10].Actor != by || all[0].Prev != all[1].Hash {
		t.Fatalf("entries %+v", all)
	}
	mine, err := w.s.Audit(t.Context(), "p", 0, 100)
	w.must(err)
	if len(mine) != 1 || !json.Valid(mine[0].Detail) {
		t.Fatalf("entries of the project %+v", mine)
	}
	if older, err := w.s.Audit(t.Context(), "", 3, 1); err != nil || len(older) != 1 || older[0].Num != 2 {
		t.Fatalf("page %+v, %v", older, err)
	}
}

func testTasks(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	k := task.Task{
		Project: "p", Name: "n", Description: "d", Shards: 2, Origin: task.OMS,
		Source:      task.Location{Endpoint: "e1", Bucket: "b1", Prefix: "p\xff/"},
		Destination: task.Location{Endpoint: "e2", Bucket: "b2"},
		Options: task.Options{
			Compare: "oms", Deletes: true, Guard: task.Guard{MaxDeletes: 5, MaxPercent: 1.5}, Filter: []string{"- *.tmp", "+ **"},
			ListUnchanged: true, GoneIsFailed: true, Bandwidth: []task.Window{{From: "08:00", To: "18:00", Zone: "Europe/Berlin", BytesPerSecond: 1}},
			Schedule: task.Schedule{Cron: "0 3 * * *", Missed: "skip"}, Concurrency: 3, FallbackLiteralPlus: true,
		},
		Ext:    map[task.Dialect][]byte{task.OMS: []byte(`{"src_region":"x"}`)},
		Sealed: []byte("\x00sealed\xff"),
	}
	made, err := w.s.CreateTask(t.Context(), k, task.Actor{})
	w.must(err)
	got, err := w.s.Task(t.Context(), made.ID)
	w.must(err)
	utc := func(a, b time.Time) bool { return a.Equal(b) }
	if d := cmp.Diff(made, got, cmp.Comparer(utc)); d != "" {
		t.Fatal(d)
	}
	if got.State != task.Active || got.Version != 1 || got.StartedAt.IsZero() || !got.ID.Valid() {
		t.Fatalf("made %+v", got)
	}
	if byName, err := w.s.TaskNamed(t.Context(), "p", "n"); err != nil || byName.ID != made.ID {
		t.Fatalf("by name %+v, %v", byName, err)
	}
	_, err = w.s.CreateTask(t.Context(), k, task.Actor{})
	wantKind(t, "same name", err, task.Conflict)
	for _, c := range []struct {
		prefix string
		ok     bool
	}{{"x/", false}, {"", false}} {
		o := k
		o.Name, o.Destination.Prefix = "overlapping "+c.prefix, c.prefix
		_, err = w.s.CreateTask(t.Context(), o, task.Actor{})
		wantKind(t, "destination "+c.prefix, err, task.Conflict)
	}
	got.Description, got.State, got.Shards, got.Sealed = "changed", task.Paused, 99, nil
	changed, err := w.s.ChangeTask(t.Context(), got, task.Actor{})
	w.must(err)
	if changed.Description != "changed" || changed.State != task.Paused || changed.Shards != 2 || changed.Version != 2 {
		t.Fatalf("changed %+v", changed)
	}
	if read, err := w.s.Task(t.Context(), made.ID); err != nil || read.Sealed != nil {
		t.Fatalf("sealed %q stays, %v", read.Sealed, err)
	}
	_, err = w.s.ChangeTask(t.Context(), got, task.Actor{})
	wantKind(t, "change of an old version", err, task.Conflict)
	got.ID = task.NewID()
	_, err = w.s.ChangeTask(t.Context(), got, task.Actor{})
	wantKind(t, "change of nothing", err, task.NotFound)
	page, err := w.s.Tasks(t.Context(), "p", w.task.ID, 10)
	w.must(err)
	if len(page) != 1 || page[0].ID != made.ID {
		t.Fatalf("page %+v", page)
	}
	if all, err := w.s.Tasks(t.Context(), "", "", 10); err != nil || len(all) != 2 {
		t.Fatalf("all %+v, %v", all, err)
	}
}

// Of tasks made at the same moment for one destination, one is made.
func testTasksOverlapAtOnce(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 8 {
		wg.Go(func() {
			_, err := w.s.CreateTask(t.Context(), task.Task{
				Project: "p", Name: fmt.Sprint("t", i),
				Destination: task.Location{Endpoint: "dst", Bucket: "c", Prefix: "aaaaaaaa"[:i]},
			}, task.Actor{})
			if err == nil {
				mu.Lock()
				made++
				mu.Unlock()
			} else if task.KindOf(err) != task.Conflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Fatalf("%d overlapping tasks were made", made)
	}
}

// Of tasks made at the same moment as many are made as there may be of their origin in
// their project; others do not count, nor do deleted ones.
func testTasksLimitedAtOnce(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{}) // with a native task
	create := func(project task.ProjectID, i int) error {
		_, err := w.s.CreateTaskWithin(t.Context(), task.Task{
			Project: project, Name: fmt.Sprint("t", i), Shards: 1, Origin: task.OMS, State: task.Stopped,
			Destination: task.Location{Endpoint: "dst", Bucket: fmt.Sprint("c", i)},
		}, 3, task.Actor{})
		return err
	}
	w.must(create("another", 0))
	var wg sync.WaitGroup
	var made atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			err := create("p", i)
			if e, ok := errors.AsType[*task.Error](err); err == nil {
				made.Add(1)
			} else if !ok || e.Kind != task.Conflict || e.Code != "TOO_MANY_TASKS" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 3 {
		t.Fatalf("%d tasks were made, 3 may be", made.Load())
	}
	all, err := w.s.Tasks(t.Context(), "p", "", 10)
	w.must(err)
	w.must(w.s.DeleteTask(t.Context(), all[len(all)-1].ID, task.Actor{}))
	w.must(create("p", 8))
	wantKind(t, "one more", create("p", 9), task.Conflict)
}

func testEndpoints(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	e := task.Endpoint{ID: "dst", Project: "p", Provider: "minio", URL: "http://127.0.0.1:1", Region: "r", Aliases: []string{"AWS/x"}, Options: []byte(`{"a":1}`), Sealed: []byte{0, 1, 255}}
	made, err := w.s.PutEndpoint(t.Context(), e, task.Actor{})
	w.must(err)
	_, err = w.s.PutEndpoint(t.Context(), e, task.Actor{})
	wantKind(t, "create twice", err, task.Conflict)
	if told, ok := errors.AsType[*task.Error](err); !ok || told.Code != "ENDPOINT_EXISTS" {
		t.Errorf("create twice: %v", err)
	}
	made.URL, made.Sealed = "http://127.0.0.1:2", nil
	made, err = w.s.PutEndpoint(t.Context(), made, task.Actor{})
	w.must(err)
	got, err := w.s.Endpoint(t.Context(), "p", "dst")
	w.must(err)
	if d := cmp.Diff(made, got, cmp.Comparer(time.Time.Equal)); d != "" || string(got.Sealed) != string(e.Sealed) || got.Version != 2 {
		t.Fatalf("got %+v: %s", got, d)
	}
	_, err = w.s.Endpoint(t.Context(), "other project", "dst")
	wantKind(t, "endpoint of another project", err, task.NotFound)
	err = w.s.DeleteEndpoint(t.Context(), "p", "dst", task.Actor{})
	wantKind(t, "delete a used endpoint", err, task.Conflict)
	if told, ok := errors.AsType[*task.Error](err); !ok || told.Code != "ENDPOINT_IN_USE" {
		t.Errorf("delete a used endpoint: %v", err)
	}
	e.ID = "unused"
	_, err = w.s.PutEndpoint(t.Context(), e, task.Actor{})
	w.must(err)
	w.must(w.s.DeleteEndpoint(t.Context(), "p", "unused", task.Actor{}))
	if all, err := w.s.Endpoints(t.Context(), "p"); err != nil || len(all) != 1 {
		t.Fatalf("all %+v, %v", all, err)
	}
}

func testKeys(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	k := task.AccessKey{ID: "LSAK1", Project: "p", Role: task.Operator, Name: "n", Sealed: []byte{9, 0}, ExpiresAt: time.Unix(2e9, 0).UTC()}
	made, err := w.s.CreateKey(t.Context(), k, task.Actor{})
	w.must(err)
	_, err = w.s.CreateKey(t.Context(), k, task.Actor{})
	wantKind(t, "create twice", err, task.Conflict)
	got, err := w.s.Key(t.Context(), "LSAK1")
	w.must(err)
	if d := cmp.Diff(made, got, cmp.Comparer(time.Time.Equal)); d != "" {
		t.Fatal(d)
	}
	w.must(w.s.DeleteKey(t.Context(), "LSAK1", task.Actor{}))
	_, err = w.s.Key(t.Context(), "LSAK1")
	wantKind(t, "deleted key", err, task.NotFound)
	wantKind(t, "delete twice", w.s.DeleteKey(t.Context(), "LSAK1", task.Actor{}), task.NotFound)
	if all, err := w.s.Keys(t.Context(), ""); err != nil || len(all) != 0 {
		t.Fatalf("all %+v, %v", all, err)
	}
}

func testIdempotency(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	begin := func(request string) ([]byte, error) {
		return w.s.BeginOnce(t.Context(), "p", "key", []byte(request), time.Minute)
	}
	if a, err := begin("r"); err != nil || a != nil {
		t.Fatalf("first: %q, %v", a, err)
	}
	_, err := begin("r")
	wantKind(t, "while it is worked on", err, task.Conflict)
	w.clock.Skip(2 * time.Minute)
	if a, err := begin("r"); err != nil || a != nil {
		t.Fatalf("after a crash: %q, %v", a, err)
	}
	w.must(w.s.FinishOnce(t.Context(), "p", "key", []byte("answer")))
	if a, err := begin("r"); err != nil || string(a) != "answer" {
		t.Fatalf("again: %q, %v", a, err)
	}
	_, err = begin("another request")
	wantKind(t, "another request", err, task.Conflict)
	w.clock.Skip(time.Hour)
	w.must(w.s.ForgetOnce(t.Context(), time.Hour))
	if a, err := begin("another request"); err != nil || a != nil {
		t.Fatalf("forgotten: %q, %v", a, err)
	}
	w.must(w.s.FinishOnce(t.Context(), "p", "key", nil))
	if a, err := begin("r"); err != nil || a != nil {
		t.Fatalf("given back: %q, %v", a, err)
	}
}

func testSettings(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	if v, err := w.s.Setting(t.Context(), "s"); err != nil || v != nil {
		t.Fatalf("unset %q, %v", v, err)
	}
	for _, want := range []string{"1", "\x00\xff"} {
		w.must(w.s.PutSetting(t.Context(), "s", []byte(want), task.Actor{}))
		if v, err := w.s.Setting(t.Context(), "s"); err != nil || string(v) != want {
			t.Fatalf("set %q, %v", v, err)
		}
	}
}
