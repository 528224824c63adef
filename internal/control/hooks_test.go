package control_test

import (
	"testing"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// A token that is taken away while a request with it is under way opens nothing after.
func TestHookTakenAwayMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	_, err := w.db.CreateTask(t.Context(), task.Task{
		Project: "p", Name: "t", Source: task.Location{Endpoint: "e", Bucket: "a"}, Destination: task.Location{Endpoint: "e", Bucket: "b"},
	}, task.Actor{})
	w.must(err)
	_, token, err := w.PutHook(t.Context(), w.admin, "t", false)
	w.must(err)
	w.db.afterHook = func() {
		w.db.afterHook = nil
		w.must(w.DeleteHook(t.Context(), w.admin, "t"))
	}
	_, err = w.HookTask(t.Context(), token.Reveal())
	w.must(err) // it came before
	if k, err := w.HookTask(t.Context(), token.Reveal()); task.KindOf(err) != task.NotFound {
		t.Fatalf("the token still opens %+v, %v", k, err)
	}
}
