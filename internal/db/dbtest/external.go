package dbtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// report records an external job of the DID Spaces dialect.
func (w *world) report(r history.ExternalReport) history.ExternalJob {
	w.Helper()
	j, err := w.s.ReportExternal(w.Context(), "p", task.DIDSpaces, r, task.Actor{Key: "app"})
	w.must(err)
	return j
}

// listed wants a list to have these ids, in this order, read in pages.
func (w *world) listed(what string, f history.ExternalFilter, want ...task.JobID) {
	w.Helper()
	var got []task.JobID
	for {
		page, total, err := w.s.ExternalJobs(w.Context(), "p", f, len(got), 3)
		w.must(err)
		if total != int64(len(want)) {
			w.Fatalf("%s: total %d, want %d", what, total, len(want))
		}
		for _, j := range page {
			got = append(got, j.ID)
		}
		if len(page) == 0 {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		w.Fatalf("%s: %s", what, d)
	}
}

func testExternalJobs(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	ext := []byte(`{"source":"a\u0000b"}`)
	j := w.report(history.ExternalReport{Subject: "app", Type: "app-objects-sync", Status: "pending", Ext: ext})
	if j.Kind != task.ExternalJob || j.State != task.JobOpen || string(j.Ext[task.DIDSpaces]) != string(ext) || j.Task != "" || j.Managed() ||
		j.Subject != "app" || j.Type != "app-objects-sync" || j.Status != "pending" || !j.ID.Valid() || j.ChangedAt.Before(j.StartedAt) {
		t.Fatalf("reported %+v", j)
	}
	n := task.Counts{Requested: 9, Synced: 8, Failed: 1, Bytes: 1 << 40}
	at := w.clock.Now().Add(-time.Hour).Truncate(time.Microsecond).UTC()
	own := w.report(history.ExternalReport{ID: "of its own making/ü", Subject: "app", Type: "t", Status: "failed", State: task.JobFailed, Counts: n, StartedAt: at, EndedAt: at, Why: "no"})
	if own.ID != "of its own making/ü" || own.Counts != n || !own.EndedAt.Equal(at) || own.Why != "no" || own.State != task.JobFailed {
		t.Fatalf("reported %+v", own)
	}
	_, err := w.s.ReportExternal(t.Context(), "q", task.DIDSpaces, history.ExternalReport{ID: own.ID, Subject: "x"}, task.Actor{})
	wantKind(t, "an id that is taken", err, task.Conflict)

	// They are in the one history, and nobody else's.
	jobs, err := w.s.Jobs(t.Context(), "p", db.JobFilter{Kind: task.ExternalJob})
	w.must(err)
	if len(jobs) != 2 || jobs[0].ID != own.ID || jobs[0].Counts != n {
		t.Fatalf("jobs %+v", jobs)
	}
	for _, c := range []struct {
		project task.ProjectID
		origin  task.Dialect
		id      task.JobID
	}{{"q", task.DIDSpaces, j.ID}, {"p", task.Elastic, j.ID}, {"p", "", j.ID}, {"p", task.DIDSpaces, "no such"}, {"p", task.DIDSpaces, ""}} {
		_, err := w.s.ExternalJob(t.Context(), c.project, c.origin, c.id)
		wantKind(t, fmt.Sprintf("%+v", c), err, task.NotFound)
		_, err = w.s.UpdateExternal(t.Context(), c.project, c.origin, c.id, task.Actor{}, func(*history.ExternalJob) error { return nil })
		wantKind(t, fmt.Sprintf("update %+v", c), err, task.NotFound)
		wantKind(t, fmt.Sprintf("delete %+v", c), w.s.DeleteExternal(t.Context(), c.project, c.origin, c.id, task.Actor{}), task.NotFound)
	}

	// What ends jobs leaves them alone.
	w.clock.Skip(time.Hour)
	if ended, err := w.s.EndJobs(t.Context()); err != nil || len(ended) != 0 {
		t.Fatalf("ended %+v, %v", ended, err)
	}
	w.must(w.s.DeleteExternal(t.Context(), "p", task.DIDSpaces, j.ID, task.Actor{Key: "k"}))
	w.listed("after a deletion", history.ExternalFilter{Origin: task.DIDSpaces}, own.ID)
	if _, broken, err := w.s.VerifyAudit(t.Context()); err != nil || broken != 0 {
		t.Fatalf("audit chain broken at %d, %v", broken, err)
	}
}

func testExternalUpdates(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	first := w.report(history.ExternalReport{Subject: "app", Type: "t", Status: "pending"})
	update := func(f func(*history.ExternalJob) error) (history.ExternalJob, error) {
		w.clock.Skip(time.Second)
		return w.s.UpdateExternal(t.Context(), "p", task.DIDSpaces, first.ID, task.Actor{Key: "app"}, f)
	}
	end := func(j *history.ExternalJob) error {
		j.Status, j.State, j.Why = "failed", task.JobFailed, "disk full\x00"
		j.Counts = task.Counts{Requested: 3, Failed: 3}
		j.Ext[task.DIDSpaces] = []byte(`{"totalCount":3}`)
		return nil
	}
	failed, err := update(end)
	w.must(err)
	if failed.State != task.JobFailed || failed.EndedAt.IsZero() || failed.Counts.Failed != 3 || failed.Why != "disk full" || !failed.ChangedAt.After(first.ChangedAt) {
		t.Fatalf("updated %+v", failed)
	}
	// No change writes nothing, nor does the same report again; a refusal neither.
	same, err := update(func(j *history.ExternalJob) error { return nil })
	w.must(err)
	if repeated, err := update(end); err != nil || !repeated.ChangedAt.Equal(failed.ChangedAt) {
		t.Fatalf("repeated %+v, %v", repeated, err)
	}
	refusal := errors.New("no")
	_, err = update(func(j *history.ExternalJob) error { j.Status = "succeeded"; return refusal })
	if !errors.Is(err, refusal) {
		t.Fatalf("refused with %v", err)
	}
	now, err := w.s.ExternalJob(t.Context(), "p", task.DIDSpaces, first.ID)
	w.must(err)
	if !same.ChangedAt.Equal(failed.ChangedAt) || !now.Same(failed) || !now.ChangedAt.Equal(failed.ChangedAt) {
		t.Fatalf("now %+v, was %+v", now, failed)
	}
	// What failed may succeed, and what ended may go on.
	done, err := update(func(j *history.ExternalJob) error {
		j.Status, j.State, j.Why, j.Counts, j.EndedAt = "succeeded", task.JobDone, "", task.Counts{Requested: 3, Synced: 3}, time.Time{}
		return nil
	})
	w.must(err)
	if done.Counts != (task.Counts{Requested: 3, Synced: 3}) || done.State != task.JobDone || !done.EndedAt.After(failed.EndedAt) {
		t.Fatalf("updated %+v", done)
	}
	// Other figures of a job that has ended are in the audit chain; those of one that runs are not.
	reports := func() (n int) {
		t.Helper()
		all, err := w.s.Audit(t.Context(), "p", 0, 100)
		w.must(err)
		for _, e := range all {
			if e.Action == "job.report" && e.Actor.Key == "app" {
				n++
			}
		}
		return n
	}
	correct := func(j *history.ExternalJob) error { j.Counts.Synced--; return nil }
	if was := reports(); was != 2 {
		t.Fatalf("%d reports in the audit chain", was)
	}
	_, err = update(correct)
	w.must(err)
	if n := reports(); n != 3 {
		t.Fatalf("%d reports in the audit chain once the figures were corrected", n)
	}
	again, err := update(func(j *history.ExternalJob) error { j.Status, j.State = "pending", task.JobOpen; return nil })
	w.must(err)
	if !again.EndedAt.IsZero() {
		t.Fatalf("updated %+v", again)
	}
	_, err = update(correct)
	w.must(err)
	if n := reports(); n != 4 {
		t.Fatalf("%d reports in the audit chain of a job that runs", n)
	}
	w.tallied()
}

// Every list agrees with what sorting all its rows says.
func testExternalLists(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	var all []history.ExternalJob
	for i := range 40 {
		w.clock.Skip(time.Second)
		all = append(all, w.report(history.ExternalReport{
			Subject: fmt.Sprint("app", i%3), Type: fmt.Sprint("t", i%2), Status: []string{"pending", "failed", "succeeded", "failed"}[i%4],
		}))
	}
	for _, i := range []int{3, 17, 5, 30} {
		w.clock.Skip(time.Second)
		j, err := w.s.UpdateExternal(t.Context(), "p", task.DIDSpaces, all[i].ID, task.Actor{}, func(j *history.ExternalJob) error { j.Status = "default"; return nil })
		w.must(err)
		all[i] = j
	}
	_, err := w.s.ReportExternal(t.Context(), "q", task.DIDSpaces, history.ExternalReport{Subject: "app0", Type: "t0", Status: "failed"}, task.Actor{})
	w.must(err)
	_, err = w.s.ReportExternal(t.Context(), "p", task.Elastic, history.ExternalReport{Subject: "app0", Type: "t0", Status: "failed"}, task.Actor{})
	w.must(err)
	place := map[task.JobID]int{}
	for i, j := range all {
		place[j.ID] = i
	}
	orders := map[history.ExternalSort]func(a, b history.ExternalJob) int{
		history.SortCreated: func(history.ExternalJob, history.ExternalJob) int { return 0 },
		history.SortChanged: func(a, b history.ExternalJob) int { return a.ChangedAt.Compare(b.ChangedAt) },
		history.SortType:    func(a, b history.ExternalJob) int { return strings.Compare(a.Type, b.Type) },
		history.SortStatus:  func(a, b history.ExternalJob) int { return strings.Compare(a.Status, b.Status) },
	}
	for sort, order := range orders {
		for _, subject := range []string{"", "app1", "nobody"} {
			for _, statuses := range [][]string{nil, {"failed"}, {"failed", "default", "unheard of"}, {}} {
				for _, types := range [][]string{nil, {"t1"}} {
					for _, ascending := range []bool{false, true} {
						f := history.ExternalFilter{Origin: task.DIDSpaces, Subject: subject, Statuses: statuses, Types: types, Sort: sort, Ascending: ascending}
						var want []history.ExternalJob
						for _, j := range all {
							if (subject == "" || j.Subject == subject) && (statuses == nil || slices.Contains(statuses, j.Status)) && (types == nil || slices.Contains(types, j.Type)) {
								want = append(want, j)
							}
						}
						slices.SortFunc(want, func(a, b history.ExternalJob) int {
							c := order(a, b)
							if c == 0 {
								c = place[a.ID] - place[b.ID]
							}
							if !ascending {
								c = -c
							}
							return c
						})
						var ids []task.JobID
						for _, j := range want {
							ids = append(ids, j.ID)
						}
						w.listed(fmt.Sprintf("%+v", f), f, ids...)
					}
				}
			}
		}
	}
	w.tallied()
}

// tallied wants the tally to agree with a count of all jobs, by status.
func (w *world) tallied() {
	w.Helper()
	jobs, err := w.s.Jobs(w.Context(), "p", db.JobFilter{Limit: 10_000})
	w.must(err)
	count := map[string]int64{}
	for _, j := range jobs {
		for _, origin := range []task.Dialect{"", task.DIDSpaces, task.Elastic} {
			if e, err := w.s.ExternalJob(w.Context(), "p", origin, j.ID); err == nil {
				count[string(origin)+" "+e.Type+" "+e.Status]++
			}
		}
	}
	var sum int64
	for key, n := range count {
		part := strings.Split(key, " ")
		f := history.ExternalFilter{Origin: task.Dialect(part[0]), Managed: part[0] == "", Types: part[1:2], Statuses: part[2:]}
		_, total, err := w.s.ExternalJobs(w.Context(), "p", f, 0, 1)
		w.must(err)
		if total != n {
			w.Fatalf("%s: %d jobs, tally says %d", key, n, total)
		}
		sum += n
	}
	if sum != int64(len(jobs)) {
		w.Fatalf("%d of %d jobs are in lists", sum, len(jobs))
	}
}

// Managed jobs have the dialects' words as they go on.
func testExternalManaged(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	status := func(id task.JobID, want string) {
		t.Helper()
		j, err := w.s.ExternalJob(t.Context(), "p", "", id)
		w.must(err)
		if j.Status != want || j.Subject != string(w.task.ID) || j.Task != w.task.ID || !j.Managed() {
			t.Fatalf("job %+v, want %s", j, want)
		}
		w.tallied()
	}
	events := w.accept("a", "b")
	status(events.Job, "in_progress")
	w.work(func(r queue.Record) queue.Settlement {
		if r.Key == "a" {
			return synced(r)
		}
		return failed(r)
	})
	w.clock.Skip(task.EventsJobAge)
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	status(events.Job, "error")
	j, err := w.s.ExternalJob(t.Context(), "p", "", events.Job)
	w.must(err)
	if !j.ChangedAt.Equal(j.EndedAt) || j.Type != "incremental" {
		t.Fatalf("job %+v", j)
	}
	retry := w.retry(queue.Retry{})
	status(retry.ID, "in_progress")
	w.work(synced)
	status(events.Job, "completed") // it was repaired
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	status(retry.ID, "completed")

	p := w.scan(queue.JobStart{})
	status(p.Job, "in_progress")
	w.must(w.s.CancelJob(t.Context(), p.Job, "", task.Actor{}))
	status(p.Job, "canceled")
	q := w.scan(queue.JobStart{})
	w.must(w.s.EndJob(t.Context(), q.Job, task.JobStopped, "guard"))
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	status(q.Job, "error")

	ext := w.report(history.ExternalReport{Subject: "app", Type: "full", Status: "completed", State: task.JobDone})
	w.listed("managed alone", history.ExternalFilter{Managed: true}, q.Job, p.Job, retry.ID, events.Job)
	w.listed("both", history.ExternalFilter{Origin: task.DIDSpaces, Managed: true}, ext.ID, q.Job, p.Job, retry.ID, events.Job)
	w.listed("both, narrowed", history.ExternalFilter{
		Origin: task.DIDSpaces, Subject: "app", Managed: true, Task: w.task.ID, Types: []string{"full"}, Ascending: true,
	}, p.Job, q.Job, ext.ID)
	w.listed("another task's", history.ExternalFilter{Managed: true, Task: w.newTask("other").ID})
	w.listed("completed", history.ExternalFilter{Origin: task.DIDSpaces, Managed: true, Statuses: []string{"completed"}}, ext.ID, retry.ID, events.Job)
	w.listed("by word", history.ExternalFilter{Managed: true, Sort: history.SortStatus, Ascending: true, StatusWord: func(s string) string {
		return map[string]string{"completed": "a", "error": "b", "canceled": "b"}[s]
	}}, events.Job, retry.ID, p.Job, q.Job)
}

// A page of documents that are too large together is refused, not read.
func testPagesBounded(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	doc := []byte(`{"a":"` + strings.Repeat("x", history.MaxPageBytes/4) + `"}`)
	for i := range 4 {
		w.report(history.ExternalReport{Subject: "app", Type: "t", Status: "pending", Ext: doc})
		_, err := w.s.PutConnector(t.Context(), history.Connector{Project: "p", ID: fmt.Sprint(i), IndexName: fmt.Sprint(i), Doc: doc}, task.Actor{})
		w.must(err)
	}
	f := history.ExternalFilter{Origin: task.DIDSpaces}
	_, _, err := w.s.ExternalJobs(t.Context(), "p", f, 0, 4)
	wantKind(t, "four large jobs", err, task.Invalid)
	_, _, err = w.s.Connectors(t.Context(), "p", history.ConnectorFilter{Size: 5})
	wantKind(t, "four large connectors", err, task.Invalid)
	if page, total, err := w.s.ExternalJobs(t.Context(), "p", f, 1, 3); err != nil || len(page) != 3 || total != 4 || string(page[2].Ext[task.DIDSpaces]) != string(doc) {
		t.Fatalf("%d jobs of %d, %v", len(page), total, err)
	}
	if page, total, err := w.s.Connectors(t.Context(), "p", history.ConnectorFilter{From: 1, Size: 3}); err != nil || len(page) != 3 || total != 5 {
		t.Fatalf("%d connectors of %d, %v", len(page), total, err)
	}
	f.Bare = true
	if page, _, err := w.s.ExternalJobs(t.Context(), "p", f, 0, 4); err != nil || len(page) != 4 || page[3].Ext != nil || page[3].Status != "pending" {
		t.Fatalf("%d bare jobs, %v", len(page), err)
	}
	if all, err := w.s.Jobs(t.Context(), "p", db.JobFilter{}); err != nil || len(all) != 4 || all[3].Ext != nil {
		t.Fatalf("%d jobs, %v", len(all), err)
	}
}

// Whatever began first may end last, however much came in between.
func testTaskSyncs(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	idle := w.newTask("idle")
	ids := []task.ID{w.task.ID, idle.ID}
	for i := range 300 { // more than one statement asks for
		ids = append(ids, task.ID(fmt.Sprint("no task ", i)))
	}
	sync := func(want task.JobID) history.TaskSync {
		t.Helper()
		all, err := w.s.TaskSyncs(t.Context(), "p", ids)
		w.must(err)
		if len(all) != 1 || all[w.task.ID].Latest.ID != want {
			t.Fatalf("%d tasks have had jobs, the latest of main is %+v, want %s", len(all), all[w.task.ID].Latest, want)
		}
		return all[w.task.ID]
	}
	bursts := func(n int) (last task.JobID) {
		t.Helper()
		for i := range n {
			w.clock.Skip(time.Second)
			last = w.accept(fmt.Sprint("k", i)).Job
			w.work(synced)
			w.must(w.s.CloseJob(t.Context(), last))
			_, err := w.s.EndJobs(t.Context())
			w.must(err)
		}
		w.clock.Skip(time.Second)
		return last
	}
	end := func(id task.JobID) time.Time {
		t.Helper()
		_, err := w.s.EndJobs(t.Context())
		w.must(err)
		j, err := w.s.Job(t.Context(), id)
		w.must(err)
		if j.EndedAt.IsZero() {
			t.Fatalf("job %+v", j)
		}
		return j.EndedAt
	}
	if all, err := w.s.TaskSyncs(t.Context(), "p", ids); err != nil || len(all) != 0 {
		t.Fatalf("syncs without a job: %+v, %v", all, err)
	}
	first := w.openManifest()
	if got := sync(first); !got.EndedAt.IsZero() || got.Latest.Status != "in_progress" || got.Latest.Type != "incremental" {
		t.Fatalf("sync %+v", got)
	}
	last := bursts(1)
	if got := sync(last); got.Latest.Counts.Synced != 1 || got.Latest.Status != "completed" || !got.EndedAt.Equal(got.Latest.EndedAt) {
		t.Fatalf("sync %+v", got)
	}
	last = bursts(20)
	w.must(w.s.CloseJob(t.Context(), first))
	if at := end(first); !sync(last).EndedAt.Equal(at) {
		t.Fatalf("a manifest ended at %s: %+v", at, sync(last))
	}
	for _, stop := range []func(task.JobID) error{
		func(id task.JobID) error { return w.s.CancelJob(t.Context(), id, "", task.Actor{}) },
		func(id task.JobID) error { return w.s.EndJob(t.Context(), id, task.JobStopped, "guard") },
	} {
		scan := w.scan(queue.JobStart{}).Job
		last = bursts(20)
		w.must(stop(scan))
		if at := end(scan); !sync(last).EndedAt.Equal(at) {
			t.Fatalf("a scan ended at %s: %+v", at, sync(last))
		}
	}
	if all, err := w.s.TaskSyncs(t.Context(), "q", ids); err != nil || len(all) != 0 {
		t.Fatalf("another project sees %+v, %v", all, err)
	}
}

func testExternalSubjects(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	w.must(w.s.ExpectExternal(t.Context(), "p", task.DIDSpaces, "app", "My app", time.Hour))
	get := func() history.ExternalSubject {
		t.Helper()
		s, err := w.s.ExternalSubject(t.Context(), "p", task.DIDSpaces, "app")
		w.must(err)
		return s
	}
	if s := get(); s.Name != "My app" || s.Every != time.Hour || !s.SucceededAt.IsZero() || s.Late(w.clock.Now()) || !s.Late(w.clock.Now().Add(2*time.Hour)) {
		t.Fatalf("subject %+v", s)
	}
	j := w.report(history.ExternalReport{Subject: "app", Status: "pending"})
	if s := get(); s.ReportedAt.IsZero() || !s.SucceededAt.IsZero() || s.Name != "My app" {
		t.Fatalf("subject %+v", s)
	}
	w.clock.Skip(3 * time.Hour)
	if !get().Late(w.clock.Now()) {
		t.Fatal("three hours without a sync are not late")
	}
	done, err := w.s.UpdateExternal(t.Context(), "p", task.DIDSpaces, j.ID, task.Actor{}, func(j *history.ExternalJob) error {
		j.Status, j.State = "succeeded", task.JobDone
		return nil
	})
	w.must(err)
	if s := get(); !s.SucceededAt.Equal(done.EndedAt) || s.Late(w.clock.Now()) {
		t.Fatalf("subject %+v", s)
	}
	// A client whose clock is years ahead is late like any other.
	w.clock.Skip(time.Minute)
	w.report(history.ExternalReport{Subject: "app", Status: "succeeded", State: task.JobDone, EndedAt: w.clock.Now().AddDate(70, 0, 0)})
	if s := get(); s.SucceededAt.After(w.clock.Now()) || s.Late(w.clock.Now()) || !s.Late(w.clock.Now().Add(2*time.Hour)) {
		t.Fatalf("subject %+v", s)
	}
	w.clock.Skip(time.Second)
	w.report(history.ExternalReport{Subject: "other", Name: "Other", Status: "pending"})
	all, err := w.s.ExternalSubjects(t.Context(), "p", 10)
	w.must(err)
	if len(all) != 2 || all[0].Name != "Other" || all[1].ID != "app" {
		t.Fatalf("subjects %+v", all)
	}
	tally, err := w.s.ExternalTally(t.Context(), "p")
	w.must(err)
	want := []history.ExternalTally{{Origin: task.DIDSpaces, Status: "pending", Jobs: 1}, {Origin: task.DIDSpaces, Status: "succeeded", Jobs: 2}}
	if d := cmp.Diff(want, slices.DeleteFunc(tally, func(n history.ExternalTally) bool { return n.Jobs == 0 })); d != "" {
		t.Fatal(d)
	}
	w.must(w.s.ForgetExternal(t.Context(), "p", task.DIDSpaces, "app"))
	_, err = w.s.ExternalSubject(t.Context(), "p", task.DIDSpaces, "app")
	wantKind(t, "a forgotten subject", err, task.NotFound)
}

// Reports at once, beside jobs that Lockstep does, leave an exact tally.
func testRaceExternal(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 10 {
				j, err := w.s.ReportExternal(t.Context(), "p", task.DIDSpaces, history.ExternalReport{Subject: "app", Type: "t", Status: "pending"}, task.Actor{})
				if err == nil {
					_, err = w.s.UpdateExternal(t.Context(), "p", task.DIDSpaces, j.ID, task.Actor{}, func(j *history.ExternalJob) error {
						j.Status, j.State = []string{"failed", "succeeded"}[k%2], task.JobDone
						return nil
					})
				}
				if err == nil && k%5 == 0 {
					err = w.s.DeleteExternal(t.Context(), "p", task.DIDSpaces, j.ID, task.Actor{})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() { w.accept(numbered(fmt.Sprint("k", i), 100)...) })
	}
	wg.Wait()
	w.work(failed)
	w.clock.Skip(task.EventsJobAge)
	_, err := w.s.EndJobs(t.Context())
	w.must(err)
	// The last failures of a job are repaired by several lanes side by side.
	w.retry(queue.Retry{})
	var lanes sync.WaitGroup
	for _, l := range w.claim() {
		lanes.Go(func() {
			slice, err := w.s.Slice(t.Context(), l.LaneID, 1000, nil)
			if err != nil {
				t.Error(err)
				return
			}
			done := make([]queue.Settlement, 0, len(slice.Records))
			for _, r := range slice.Records {
				done = append(done, synced(r))
			}
			if _, err := w.s.Settle(t.Context(), l, done); err != nil {
				t.Error(err)
			}
		})
	}
	lanes.Wait()
	_, err = w.s.EndJobs(t.Context())
	w.must(err)
	w.tallied()
	if _, total, err := w.s.ExternalJobs(t.Context(), "p", history.ExternalFilter{Managed: true, Statuses: []string{"error"}}, 0, 1); err != nil || total != 0 {
		t.Fatalf("%d jobs have failures, %v", total, err)
	}
	w.prove()
}

func testApps(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	by := task.Actor{Key: "k"}
	a, made, err := w.s.RegisterApp(t.Context(), task.App{DID: "zNKa", Project: "p", Name: "A"}, by)
	w.must(err)
	if !made || a.Name != "A" || a.CreatedAt.IsZero() {
		t.Fatalf("app %+v", a)
	}
	entries := func() int64 {
		n, _, err := w.s.VerifyAudit(t.Context())
		w.must(err)
		return n
	}
	// Registered again it takes another name, and so does what its reports are about.
	w.report(history.ExternalReport{Subject: "zNKa", Name: "A", Status: "pending"})
	for _, c := range []struct {
		name, want string
		audited    int64
	}{{"", "A", 0}, {"A", "A", 0}, {"B\x00", "B", 1}, {"B", "B", 0}} {
		was := entries()
		again, made, err := w.s.RegisterApp(t.Context(), task.App{DID: "zNKa", Project: "p", Name: c.name}, by)
		w.must(err)
		a.Name = c.want
		subject, err := w.s.ExternalSubject(t.Context(), "p", task.DIDSpaces, "zNKa")
		w.must(err)
		if made || again != a || subject.Name != c.want || entries() != was+c.audited {
			t.Fatalf("named %q: app %+v, subject %+v, %d audit entries", c.name, again, subject, entries()-was)
		}
	}
	_, _, err = w.s.RegisterApp(t.Context(), task.App{DID: "zNKa", Project: "q"}, by)
	wantKind(t, "another project's app", err, task.Conflict)
	if all, err := w.s.Apps(t.Context(), "p"); err != nil || len(all) != 1 || all[0] != a {
		t.Fatalf("apps %+v, %v", all, err)
	}
	if all, err := w.s.Apps(t.Context(), "q"); err != nil || len(all) != 0 {
		t.Fatalf("apps %+v, %v", all, err)
	}
	wantKind(t, "remove another project's", w.s.RemoveApp(t.Context(), "q", "zNKa", by), task.NotFound)
	j := w.report(history.ExternalReport{Subject: "zNKa", Name: "A", Status: "succeeded", State: task.JobDone})
	w.must(w.s.RemoveApp(t.Context(), "p", "zNKa", by))
	_, err = w.s.App(t.Context(), "zNKa")
	wantKind(t, "a removed app", err, task.NotFound)
	_, err = w.s.ExternalSubject(t.Context(), "p", task.DIDSpaces, "zNKa")
	wantKind(t, "what a removed app is waited for", err, task.NotFound)
	_, err = w.s.ExternalJob(t.Context(), "p", task.DIDSpaces, j.ID)
	w.must(err)
}
