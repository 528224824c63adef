package app

import (
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
)

// paced returns the source of a task within its bandwidth windows, on this node. One pace
// serves all versions of a task, so that a change reaches what is being copied.
func (r *registry) paced(k task.Task, src objstore.Bucket) (objstore.Bucket, error) {
	windows, err := timetable.ParseWindows(k.Options.Bandwidth)
	if err != nil {
		return nil, err
	}
	v, known := r.paces.Load(k.ID)
	if !known {
		v, _ = r.paces.LoadOrStore(k.ID, limit.NewPace())
	}
	pace := v.(*limit.Pace)
	setPace(pace, windows)
	return pace.Wrap(src), nil
}

// repace takes the windows of a task that a client of this process has changed. Work that
// waits for bytes might not look for long.
func (r *registry) repace(k task.Task) {
	windows, err := timetable.ParseWindows(k.Options.Bandwidth)
	if v, known := r.paces.Load(k.ID); known && err == nil {
		setPace(v.(*limit.Pace), windows)
	}
}

func setPace(p *limit.Pace, windows timetable.Windows) {
	if len(windows) == 0 {
		p.Set(nil)
		return
	}
	p.Set(windows.At)
}
