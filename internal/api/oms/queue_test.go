package oms_test

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
)

// What was accepted and not worked on stays through a stop, and goes on after a start.
// A task that another dialect paused synchronizes for OMS: it takes events.
func TestStopKeepsTheQueue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s3.Put("src", "a", []byte("1"))
	path := w.newTask("dst")
	id := path[len(p1)+1:]
	_, err := w.s.Control().PauseTask(t.Context(), w.s.Admin(), id)
	w.must(err)
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	if m := w.month(path); m.Status != "SYNCHRONIZING" || m.Requested != 1 || m.Success != 0 {
		t.Fatalf("%+v", m)
	}
	w.want(w.operator, "POST", path+"/start", keysBody, 400, "OMS.0065", nil)
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	if m := w.month(path); m.Requested != 1 || m.Success+m.Failure+m.Skip != 0 {
		t.Fatalf("after the stop: %+v", m)
	}
	w.want(w.sender, "POST", path+"/events", objectKeys("b"), 400, "OMS.1036", nil)
	w.want(w.sender, "POST", path+"/events", objectKeys("oms/sync_task/"+id+"/object_lists/x.txt"), 400, "OMS.1036", nil)
	w.want(w.operator, "POST", path+"/start", keysBody, 200, "", nil)
	if m := w.settled(path, 1); m.Success != 1 {
		t.Fatalf("%+v", m)
	}
}

// A plus that was meant as one is found although the same key is named again without it.
func TestPlusIsFoundWhenItsKeyIsNamedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s3.Put("src", "a+b", []byte("1"))
	path := w.newTask("dst")
	w.want(w.sender, "POST", path+"/events", objectKeys("a+b", "a%20b"), 200, "", nil)
	m := w.settled(path, 3)
	if got, ok := w.s3.Get("dst", "a+b"); !ok || string(got) != "1" || m.Requested != 3 || m.Success != 1 || m.Skip != 2 {
		t.Fatalf("%q, %+v", got, m)
	}
}

// Delete ends what waits as failed, and says so in the record.
func TestDeleteRecordsTheRestAsFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	id := path[len(p1)+1:]
	_, err := w.s.Control().PauseTask(t.Context(), w.s.Admin(), id)
	w.must(err)
	w.want(w.sender, "POST", path+"/events", objectKeys("a", "b", "c"), 200, "", nil)
	jobs, err := w.s.Control().Jobs(t.Context(), w.s.Admin(), control.JobFilter{Task: id, Limit: 1})
	w.must(err)
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	w.want(w.operator, "DELETE", path, "", 200, "", nil)
	j, err := w.s.Control().Job(t.Context(), w.s.Admin(), jobs[0].ID)
	w.must(err)
	if j.Counts.Requested != 3 || j.Counts.Failed != 3 {
		t.Fatalf("%+v", j.Counts)
	}
}

// monthly_* and the statistics count what clients named, never what a scan found.
func TestScansAreNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, k := range []string{"a", "b", "c"} {
		w.s3.Put("src", k, []byte("1"))
	}
	path := w.newTask("dst")
	id := path[len(p1)+1:]
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	w.settled(path, 1)
	job, err := w.s.Control().StartScan(t.Context(), w.s.Admin(), id)
	w.must(err)
	for range 600 {
		j, err := w.s.Control().Job(t.Context(), w.s.Admin(), job.ID)
		w.must(err)
		if j.State.Ended() {
			if j.Counts.Requested < 3 {
				t.Fatalf("%+v", j.Counts)
			}
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	all, err := w.s.Control().Status(t.Context(), w.s.Admin(), id)
	w.must(err)
	if m := w.month(path); m.Requested != 1 || m.Success != 1 || all.Counts.Requested < 4 {
		t.Fatalf("%+v, in all %+v", m, all.Counts)
	}
	spans, err := w.s.Control().Intervals(t.Context(), w.s.Admin(), id, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true)
	w.must(err)
	if n := requested(spans); n != 1 {
		t.Fatalf("statistics count %d", n)
	}
}

func requested(spans []history.Span) (n int64) {
	for _, s := range spans {
		n += s.Counts.Requested
	}
	return n
}

// A retry that another dialect starts moves a failed object to the synchronized ones, in
// the month of its acceptance.
func TestRetriesMoveTheCounters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	w.want(w.sender, "POST", path+"/events", objectKeys("late"), 200, "", nil)
	if m := w.settled(path, 1); m.Failure != 1 {
		t.Fatalf("%+v", m)
	}
	w.s3.Put("src", "late", []byte("1"))
	_, err := w.s.Control().Retry(t.Context(), w.s.Admin(), path[len(p1)+1:], control.Retry{})
	w.must(err)
	for range 200 {
		if m := w.month(path); m.Success == 1 && m.Failure == 0 && m.Requested == 1 {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("%+v", w.month(path))
}
