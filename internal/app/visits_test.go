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
	"github.com/lockstep-sync/lockstep/internal/task"
)

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
