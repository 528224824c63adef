package elastic_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (w *world) elasticViewer() control.Caller {
	return control.Caller{Project: "p", Role: task.Viewer, Actor: task.Actor{Dialect: task.Elastic}}
}

// told are the jobs of the history that _last_sync told of a connector, newest first.
func (w *world) told(id string) []history.ExternalJob {
	w.Helper()
	jobs, _, err := w.control.ExternalJobs(w.Context(), w.elasticViewer(),
		history.ExternalFilter{Origin: task.Elastic, Subject: id, Types: []string{"last_sync"}}, 0, 100)
	w.must(err)
	return jobs
}

// Reports of one sync are one job of the history, the next sync is another.
func TestLastSyncTellsHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"name":"Books"}`, 201)
	for i, step := range []struct {
		body   string
		jobs   int
		status string // of the newest
		synced int64
	}{
		{`{"sync_cursor":{"a":1}}`, 0, "", 0},
		{`{"last_access_control_sync_status":"error"}`, 0, "", 0},
		{`{"last_sync_scheduled_at":"2024-11-09T15:00:00Z"}`, 0, "", 0},
		{`{"last_sync_status":"in_progress"}`, 1, "in_progress", 0},
		{`{"last_indexed_document_count":3}`, 1, "in_progress", 3},
		{`{"last_sync_status":"completed","last_synced":"2024-11-09T15:10:00Z","last_indexed_document_count":7,"last_deleted_document_count":2}`, 1, "completed", 9},
		{`{"last_sync_status":"completed","last_synced":"2024-11-09T15:10:00Z","last_indexed_document_count":7,"last_deleted_document_count":2}`, 1, "completed", 9},
		{`{"last_indexed_document_count":8}`, 1, "completed", 10},
		{`{"last_sync_scheduled_at":"2024-11-09T16:00:00Z"}`, 1, "completed", 10},
		{`{"last_sync_status":"in_progress"}`, 2, "in_progress", 10},
		{`{"last_sync_status":"error","last_sync_error":"boom","last_synced":"2024-11-09T16:01:00Z","last_indexed_document_count":-5}`, 2, "error", 2},
		{`{"last_sync_status":"completed","last_synced":"2024-11-09T17:00:00Z","last_indexed_document_count":9223372036854775807}`, 3, "completed", 1<<63 - 1},
	} {
		w.want("PUT", "/_connector/c/_last_sync", step.body, 200)
		jobs := w.told("c")
		if len(jobs) != step.jobs {
			t.Fatalf("step %d: %d jobs after %s, want %d: %+v", i, len(jobs), step.body, step.jobs, jobs)
		}
		if step.jobs == 0 {
			continue
		}
		if j := jobs[0]; j.Status != step.status || step.synced < 1<<62 && j.Counts.Synced != step.synced || j.Counts.Check() != nil {
			t.Fatalf("step %d: %s with %+v, want %s with %d", i, j.Status, j.Counts, step.status, step.synced)
		}
	}
	jobs := w.told("c")
	if j := jobs[1]; j.Why != "boom" || !j.EndedAt.Equal(time.Date(2024, 11, 9, 16, 1, 0, 0, time.UTC)) || !j.StartedAt.Equal(time.Date(2024, 11, 9, 16, 0, 0, 0, time.UTC)) {
		t.Errorf("the failed sync is %+v", j)
	}
	// The history of the project has them, the list of sync jobs does not.
	if ids, total := w.ids("/_connector/_sync_job"); len(ids) != 0 || total != "0" {
		t.Errorf("reports are listed as sync jobs: %v", ids)
	}
	w.want("GET", "/_connector/_sync_job/"+string(jobs[0].ID), "", 404)
	w.want("DELETE", "/_connector/_sync_job/"+string(jobs[0].ID), "", 404)
	all, err := w.control.Jobs(t.Context(), w.operator(), control.JobFilter{Kind: task.ExternalJob})
	w.must(err)
	if len(all) != 3 {
		t.Errorf("the history has %d jobs, want 3", len(all))
	}
	subject, err := w.control.ExternalSubject(t.Context(), w.elasticViewer(), "c")
	w.must(err)
	if age := subject.SucceededAt.Sub(clockStart); subject.Name != "Books" || age < 0 || age > time.Hour { // of these years none has come yet
		t.Errorf("the subject is %+v", subject)
	}
}

// A connector is late by its own schedule.
func TestConnectorIsLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"name":"Books"}`, 201)
	late := func(after time.Duration) bool {
		s, err := w.control.ExternalSubject(t.Context(), w.elasticViewer(), "c")
		w.must(err)
		return s.Late(clockStart.Add(after))
	}
	if late(1000 * time.Hour) {
		t.Error("a connector without a schedule is late")
	}
	w.want("PUT", "/_connector/c/_scheduling", `{"scheduling":{"full":{"enabled":true,"interval":"0 0 * * * ?"}}}`, 200)
	w.want("PUT", "/_connector/c/_last_sync", `{"last_sync_status":"completed","last_synced":"2001-02-03T04:00:00Z"}`, 200)
	if late(time.Hour) || !late(3*time.Hour) {
		t.Error("hourly: late after 1 h, or not after 3 h")
	}
	w.want("PUT", "/_connector/c/_scheduling", `{"scheduling":{"full":{"enabled":false,"interval":"0 0 * * * ?"}}}`, 200)
	if late(1000 * time.Hour) {
		t.Error("a connector without an enabled schedule is late")
	}
	w.want("DELETE", "/_connector/c", "", 200)
	if _, err := w.control.ExternalSubject(t.Context(), w.elasticViewer(), "c"); task.KindOf(err) != task.NotFound {
		t.Errorf("a deleted connector is waited for: %v", err)
	}
}

// What sync jobs count is in the history, with states in its own words.
func TestJobStatsTellHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	id := w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)["id"].(string)
	w.want("PUT", "/_connector/_sync_job/"+id+"/_claim", `{"worker_hostname":"h"}`, 200)
	w.want("PUT", "/_connector/_sync_job/"+id+"/_stats", `{"deleted_document_count":10,"indexed_document_count":20,"indexed_document_volume":3}`, 200)
	j, err := w.control.Job(t.Context(), w.operator(), task.JobID(id))
	w.must(err)
	if want := (task.Counts{Requested: 30, Synced: 30, Deleted: 10, Bytes: 3 << 20}); j.Counts != want || j.Kind != task.ExternalJob || j.State != task.JobOpen {
		t.Errorf("the job is %+v", j)
	}
	w.want("PUT", "/_connector/_sync_job/"+id+"/_error", `{"error":"boom"}`, 200)
	if j, err = w.control.Job(t.Context(), w.operator(), task.JobID(id)); err != nil || j.State != task.JobFailed || j.Why != "boom" || j.EndedAt.IsZero() {
		t.Errorf("the failed job is %+v, %v", j, err)
	}
}

// A task's connector is true at once, whatever its jobs come to.
func TestManagedIsTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.addTask("books")
	path := "/_connector/" + string(k.ID)
	expect := func(when, status, indexed, deleted, failure string) {
		t.Helper()
		doc := w.want("GET", path, "", 200)
		for field, want := range map[string]string{
			"last_sync_status": status, "last_indexed_document_count": indexed, "last_deleted_document_count": deleted, "last_sync_error": failure,
		} {
			got := ""
			if v, given := doc[field]; given {
				got = fmt.Sprint(v)
			}
			if got != want {
				t.Errorf("%s: %s is %q, want %q", when, field, got, want)
			}
		}
	}
	expect("before any job", "", "", "", "")
	for {
		_, err := w.control.AcceptEvents(t.Context(), w.operator(), string(k.ID), []queue.Entry{{Key: "a"}, {Key: "b"}, {Key: "c"}})
		if task.KindOf(err) == task.Unavailable { // the committer has not begun
			continue
		}
		w.must(err)
		break
	}
	expect("accepted", "in_progress", "0", "0", "")
	w.settle(func(r queue.Record) queue.Settlement {
		switch r.Key {
		case "a":
			return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 3}
		case "b":
			return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Deleted}
		}
		return queue.Settlement{Record: r, Outcome: task.Failed, Reason: task.DestinationDenied, Cause: "no"}
	})
	expect("settled", "in_progress", "1", "1", "")
	jobs, err := w.control.Jobs(t.Context(), w.operator(), control.JobFilter{Task: string(k.ID)})
	w.must(err)
	w.must(w.db.CloseJob(t.Context(), jobs[0].ID))
	_, err = w.db.EndJobs(t.Context())
	w.must(err)
	expect("ended", "error", "1", "1", "1 object failed; see: lockstep status")
	job := w.want("GET", "/_connector/_sync_job/"+string(jobs[0].ID), "", 200)
	if job["job_type"] != "incremental" || job["status"] != "error" || fmt.Sprint(job["indexed_document_count"]) != "1" || job["completed_at"] == nil {
		t.Errorf("the sync job is %v", job)
	}
	scan := w.want("POST", "/_connector/_sync_job", `{"id":"`+string(k.ID)+`"}`, 201)["id"].(string)
	expect("a scan runs", "in_progress", "0", "0", "")
	w.want("PUT", "/_connector/_sync_job/"+scan+"/_cancel", "", 200)
	expect("cancelled", "canceled", "0", "0", "")
	if ids, total := w.ids("/_connector/_sync_job?connector_id=" + string(k.ID)); len(ids) != 2 || ids[0] != scan || total != "2" {
		t.Errorf("its jobs are %v of %s", ids, total)
	}
	if ids, _ := w.ids("/_connector/_sync_job?status=canceled&job_type=full"); len(ids) != 1 || ids[0] != scan {
		t.Errorf("canceled jobs are %v", ids)
	}
	// The jobs of a task that was deleted stay, like those of a connector.
	_, err = w.control.StopTask(t.Context(), w.operator(), string(k.ID))
	w.must(err)
	w.must(w.control.DeleteTask(t.Context(), w.operator(), string(k.ID)))
	w.want("GET", path, "", 404)
	if ids, total := w.ids("/_connector/_sync_job?connector_id=" + string(k.ID)); len(ids) != 2 || total != "2" {
		t.Errorf("jobs of the deleted task are %v of %s", ids, total)
	}
	if r := w.do("operator", "GET", "/_connector/_sync_job/"+scan, ""); r.status != 200 || strings.Contains(string(r.body), `"0001-`) {
		t.Errorf("a job of the deleted task: %d %s", r.status, r.body)
	}
}

// A scan may end after many jobs that began later.
func TestScanThatEndsLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.addTask("books")
	path := "/_connector/" + string(k.ID)
	scan := "/_connector/_sync_job/" + w.want("POST", "/_connector/_sync_job", `{"id":"`+string(k.ID)+`"}`, 201)["id"].(string)
	for i := range 6 {
		r, err := w.control.AcceptEvents(t.Context(), w.operator(), string(k.ID), []queue.Entry{{Key: fmt.Sprint("k", i)}})
		w.must(err)
		w.settle(func(r queue.Record) queue.Settlement {
			return queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 3}
		})
		w.must(w.db.CloseJob(t.Context(), r.Job))
		_, err = w.db.EndJobs(t.Context())
		w.must(err)
	}
	w.want("PUT", scan+"/_cancel", "", 200)
	doc := w.want("GET", path, "", 200)
	if end := w.want("GET", scan, "", 200)["completed_at"]; end == nil || doc["last_synced"] != end || doc["last_sync_status"] != "completed" {
		t.Errorf("the scan ended at %v, last_synced is %v, the latest job %v", end, doc["last_synced"], doc["last_sync_status"])
	}
	row := w.want("GET", "/_connector?service_type=lockstep", "", 200)["results"].([]any)[0].(map[string]any)
	delete(row, "last_seen")
	delete(doc, "last_seen")
	if d := cmp.Diff(doc, row); d != "" {
		t.Errorf("the list says other things of the task: %s", d)
	}
}

// Of reports made at once the history loses none either: it says what the connector says.
func TestReportsAtOnceTellHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 16 {
		id, round := fmt.Sprint("c", i%4), i/4
		if round == 0 {
			w.want("PUT", "/_connector/"+id, "", 201)
		}
		w.want("PUT", "/_connector/"+id+"/_last_sync", `{"last_sync_status":"in_progress"}`, 200)
		ended := time.Date(2024, 11, 9, 15+round, 10, 0, 0, time.UTC)
		var wg sync.WaitGroup
		for _, body := range []string{
			fmt.Sprintf(`{"last_indexed_document_count":%d}`, 7+round), `{"last_deleted_document_count":2}`, fmt.Sprintf(`{"last_sync_error":"boom %d"}`, round),
			`{"last_sync_status":"error"}`, fmt.Sprintf(`{"last_synced":%q}`, ended.Format(time.RFC3339)),
		} {
			wg.Go(func() {
				if r := w.do("operator", "PUT", "/_connector/"+id+"/_last_sync", body); r.status != 200 {
					t.Errorf("%s: %d %s", body, r.status, r.body)
				}
			})
		}
		wg.Wait()
		jobs := w.told(id)
		if len(jobs) != round+1 {
			t.Fatalf("%d jobs of %d syncs: %+v", len(jobs), round+1, jobs)
		}
		j, n := jobs[0], int64(9+round)
		if want := (task.Counts{Requested: n, Synced: n, Deleted: 2}); j.Counts != want || j.Status != "error" || j.Why != fmt.Sprint("boom ", round) || !j.EndedAt.Equal(ended) {
			t.Errorf("the history says %+v", j)
		}
	}
}

// A connector that tells no times has a job for each sync all the same.
func TestSyncsWithoutTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", "", 201)
	for i := range 3 {
		w.want("PUT", "/_connector/c/_last_sync", `{"last_sync_status":"in_progress"}`, 200)
		w.want("PUT", "/_connector/c/_last_sync", `{"last_sync_status":"completed"}`, 200)
		jobs := w.told("c")
		if len(jobs) != i+1 || jobs[0].Status != "completed" {
			t.Fatalf("after sync %d: %d jobs, %+v", i+1, len(jobs), jobs)
		}
	}
}

// The document of a connector still holds the times of the sync before when the next one
// runs: they are not those of the next, and what a program tells in several reports is one
// sync each time.
func TestEverySyncHasTimesOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", "", 201)
	hour := func(n int) time.Time { return time.Date(2001, 2, 4, n, 0, 0, 0, time.UTC) }
	tell := func(format string, args ...any) {
		w.want("PUT", "/_connector/c/_last_sync", fmt.Sprintf(format, args...), 200)
	}
	for i := range 3 {
		tell(`{"last_sync_status":"in_progress"}`)
		tell(`{"last_sync_status":"completed"}`)
		tell(`{"last_synced":%q}`, hour(i).Format(time.RFC3339))
		tell(`{"last_indexed_document_count":%d}`, i)
		jobs := w.told("c")
		if len(jobs) != i+1 {
			t.Fatalf("after sync %d: %d jobs", i+1, len(jobs))
		}
		if j := jobs[0]; !j.EndedAt.Equal(hour(i)) || j.StartedAt.Sub(clockStart) > time.Hour || j.Counts.Synced != int64(i) {
			t.Errorf("sync %d is %+v", i+1, j)
		}
	}
	// One that does not say when it ended has ended now.
	tell(`{"last_sync_status":"in_progress"}`)
	tell(`{"last_sync_status":"completed"}`)
	if j := w.told("c")[0]; j.EndedAt.Before(j.StartedAt) || j.EndedAt.Before(clockStart) || j.EndedAt.Sub(clockStart) > time.Hour {
		t.Errorf("a sync without last_synced is %+v", j)
	}
	// An incremental sync begins by its own schedule, and a later one is another.
	tell(`{"last_sync_status":"in_progress","last_sync_scheduled_at":%q}`, hour(5).Format(time.RFC3339))
	tell(`{"last_sync_status":"completed","last_synced":%q}`, hour(6).Format(time.RFC3339))
	for i := 7; i < 9; i++ {
		tell(`{"last_sync_status":"in_progress","last_incremental_sync_scheduled_at":%q}`, hour(i).Format(time.RFC3339))
		if jobs := w.told("c"); len(jobs) != i-1 || !jobs[0].StartedAt.Equal(hour(i)) {
			t.Errorf("%d jobs, the incremental sync of %v is %+v", len(jobs), hour(i), jobs[0])
		}
	}
	// Whatever a program says, nothing ends before it begins.
	tell(`{"last_sync_status":"error","last_synced":%q}`, hour(1).Format(time.RFC3339))
	if j := w.told("c")[0]; j.StartedAt.After(j.EndedAt) || !j.EndedAt.Equal(hour(1)) {
		t.Errorf("the failed sync is %+v", j)
	}
}

// A job ends after it began, whatever its program told of when it was seen, and however
// often it is claimed.
func TestJobsEndAfterTheyBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	id := w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)["id"].(string)
	put := func(call, body string) { w.want("PUT", "/_connector/_sync_job/"+id+call, body, 200) }
	put("/_cancel", "")
	put("/_claim", `{"worker_hostname":"h"}`)
	put("/_stats", `{"deleted_document_count":0,"indexed_document_count":0,"indexed_document_volume":0,"last_seen":"1999-01-02T10:00:00Z"}`)
	put("/_error", `{"error":"boom <&>"}`)
	job := func() task.Job {
		t.Helper()
		j, err := w.control.Job(t.Context(), w.operator(), task.JobID(id))
		w.must(err)
		if j.State != task.JobFailed || j.EndedAt.Before(j.StartedAt) {
			t.Errorf("the job is %s from %v to %v", j.State, j.StartedAt, j.EndedAt)
		}
		return j
	}
	ended := job().EndedAt
	// Stats that change nothing are not written.
	stats := `{"deleted_document_count":1,"indexed_document_count":1,"indexed_document_volume":1,"last_seen":"1999-01-02T10:00:00Z"}`
	put("/_stats", stats)
	written := func() time.Time {
		jobs, _, err := w.control.ExternalJobs(t.Context(), w.elasticViewer(), history.ExternalFilter{Origin: task.Elastic, Subject: "c"}, 0, 1)
		w.must(err)
		return jobs[0].ChangedAt
	}
	before := written()
	if put("/_stats", stats); !written().Equal(before) {
		t.Error("stats that change nothing are written")
	}
	put("/_check_in", "")
	if again := job().EndedAt; !again.Equal(ended) {
		t.Errorf("a check-in moves the end of a job from %v to %v", ended, again)
	}
}
