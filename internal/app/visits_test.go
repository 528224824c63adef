package app

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// oneTask is a registryStore with one task over directories.
type oneTask struct {
	task    task.Task
	deleted bool
	dir     string
}

func (s *oneTask) Task(context.Context, task.ID) (task.Task, error) {
	if s.deleted {
		return task.Task{}, task.Errorf(task.NotFound, "deleted")
	}
	return s.task, nil
}

func (s *oneTask) AnyTask(context.Context, task.ID) (task.Task, error) { return s.task, nil }

func (s *oneTask) EverTask(context.Context, task.ID) (bool, error) { return true, nil }

func (s *oneTask) Endpoint(_ context.Context, _ task.ProjectID, id task.EndpointID) (task.Endpoint, error) {
	return task.Endpoint{ID: id, Provider: "file", URL: "file://" + s.dir}, nil
}

// TestKeysOfATaskThatIsStoppedAndDeletedAtOnce: its lists are written with the
// credentials it had, however long it has run.
func TestKeysOfATaskThatIsStoppedAndDeletedAtOnce(t *testing.T) {
	t.Parallel()
	box, err := secret.NewBox(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	id := task.NewID()
	store := &oneTask{dir: t.TempDir(), task: task.Task{
		ID: id, State: task.Active, Version: 1, ChangedAt: time.Now().Add(-24 * time.Hour),
		Source: task.Location{Endpoint: "e", Bucket: "src"}, Destination: task.Location{Endpoint: "e", Bucket: "dst"},
		Sealed: box.Seal("task:"+string(id), []byte(`{"destination":{"access_key":"a","secret_key":"s"}}`)),
	}}
	for _, name := range []string{"src", "dst"} {
		if err := os.Mkdir(filepath.Join(store.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := newRegistry(store, box, nil)
	open, err := r.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	lists := func() bool {
		t.Helper()
		r.forget(id)
		ends, err := listStores{r}.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return ends.Lists == open.Lists
	}
	store.task.State, store.task.Sealed, store.task.ChangedAt, store.task.Version = task.Stopped, nil, time.Now(), 2
	store.deleted = true
	for range 2 {
		if !lists() {
			t.Error("the lists are written without the credentials that the task had")
		}
	}
	store.task.ChangedAt = time.Now().Add(-listsAfterStop)
	if lists() {
		t.Error("the credentials are still in use")
	}
	if r.known(id) != nil {
		t.Error("the credentials are still there")
	}
}

// TestListsNeedNoSource: what became of keys is told at the destination although the
// source cannot be opened, which may be why they failed.
func TestListsNeedNoSource(t *testing.T) {
	t.Parallel()
	s, err := NewService(t.Context(), ServeConfig{Serve: config.Serve{Data: t.TempDir(), Listen: "127.0.0.1:0", Keep: config.DefaultKeep}})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		must(s.Close())
	})
	disk := t.TempDir()
	must(os.Mkdir(filepath.Join(disk, "copies"), 0o755))
	_, err = s.Control().CreateEndpoint(t.Context(), s.Admin(), control.NewEndpoint{ID: "disk", Provider: "file", URL: "file://" + disk})
	must(err)
	k, err := s.Control().CreateTask(t.Context(), s.Admin(), control.NewTask{
		Name: "no source", Source: task.Location{Endpoint: "disk", Bucket: "gone"}, Destination: task.Location{Endpoint: "disk", Bucket: "copies"},
	})
	must(err)
	for { // until the service takes events
		_, err = s.Control().AcceptEvents(t.Context(), s.Admin(), string(k.ID), []control.Event{{Key: "a"}})
		if task.KindOf(err) != task.Unavailable {
			break
		}
	}
	must(err)
	_, err = s.Control().StopTask(t.Context(), s.Admin(), string(k.ID))
	must(err)
	must(s.Control().DeleteTask(t.Context(), s.Admin(), string(k.ID)))
	lists := filepath.Join(disk, "copies", history.ListPlace(k.ID), history.FailedDir, "*", "*.failed_list.txt")
	for at := time.Now(); ; {
		found, err := filepath.Glob(lists)
		must(err)
		if len(found) == 1 {
			return
		}
		if time.Since(at) > 30*time.Second {
			t.Fatal("the failed list is not written")
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
}
