package didspaces_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Jobs that Lockstep does are in the log with places, figures, status and reason.
func TestManagedJobsAreEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, job := w.addTask("photos", "a", "b", "bad")
	list := func(query string) page {
		t.Helper()
		var p page
		w.ok("app", "GET", w.base("app")+"/audit-log/list?"+query, "", &p)
		return p
	}
	p := list("")
	if p.Total != 1 || len(p.Rows) != 1 || p.Rows[0].Status != "pending" || p.Rows[0].Data.TotalCount != 3 {
		t.Fatalf("a job under way is %+v", p)
	}
	w.work()
	if _, err := w.control.CancelJob(t.Context(), w.admin, job); err != nil { // closes it
		t.Fatal(err)
	}
	mine := w.post("app")
	w.put(mine, "SUCCESS", 5, 0)
	p = list("size=10&page=0&sort&order=0")
	if p.Total != 2 || p.Count != 2 || len(p.Data) != 2 || p.Rows[0].ID != mine || p.Rows[1].ID != string(job) {
		t.Fatalf("list %+v", p)
	}
	e := p.Rows[1]
	if e.ActionType != "app-objects-sync" || e.Status != "failed" || e.Reason == "" || e.EntityID != string(k.ID) || e.EntityName != "photos" ||
		e.Data.Source != "src:b/" || e.Data.Target != "dst:b/photos/" || e.Data.AppName == "" ||
		e.Data.TotalCount != 3 || e.Data.ErrorCount != 1 || e.Data.SuccessCount != 2 || e.Data.Size != 6 || e.Data.Duration <= 0 {
		t.Fatalf("entry %+v", e)
	}
	for query, want := range map[string][]string{
		"status=failed": {string(job)}, "status=succeeded": {mine}, "status=SUCCESS&status=FAILURE": {mine, string(job)},
		"sort=status&order=0": {string(job), mine}, "sort=status&order=1": {mine, string(job)}, "sort=createdAt&order=0": {string(job), mine},
		"status=pending": nil,
	} {
		var got []string
		for _, e := range list(query).Rows {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	// A task that is gone leaves its jobs.
	if _, err := w.control.StopTask(t.Context(), w.admin, string(k.ID)); err != nil {
		t.Fatal(err)
	}
	if err := w.control.DeleteTask(t.Context(), w.admin, string(k.ID)); err != nil {
		t.Fatal(err)
	}
	if e := list("").Rows[1]; e.Data.Source == "" || !strings.Contains(e.EntityName, string(k.ID)) {
		t.Fatalf("entry %+v", e)
	}
}

// What an app reports is in the one history.
func TestEntriesAreJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.post("app")
	w.put(id, "CANCELED", 10, 2)
	jobs, err := w.control.Jobs(t.Context(), w.admin, control.JobFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want := task.Counts{Requested: 10, Synced: 8, Failed: 2, Bytes: 7}
	if len(jobs) != 1 || string(jobs[0].ID) != id || jobs[0].Kind != task.ExternalJob || jobs[0].State != task.JobCancelled || jobs[0].Counts != want ||
		jobs[0].Origin != task.DIDSpaces || jobs[0].Subject != w.wallets["app"].did {
		t.Fatalf("jobs %+v", jobs)
	}
	entries, err := w.control.Audit(t.Context(), w.admin, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if entries[0].Action != "job.report" || entries[0].Actor.Dialect != task.DIDSpaces || !strings.HasSuffix(string(entries[0].Actor.Key), w.wallets["app"].did) {
		t.Fatalf("audit entry %+v", entries[0])
	}
	s, err := w.control.ExternalSubjects(t.Context(), w.admin, 10)
	if err != nil || len(s) != 1 || !s[0].SucceededAt.IsZero() || s[0].Name != "App app" {
		t.Fatalf("subjects %+v, %v", s, err)
	}
	w.put(id, "succeeded", 10, 0)
	if s, err = w.control.ExternalSubjects(t.Context(), w.admin, 10); err != nil || s[0].SucceededAt.IsZero() {
		t.Fatalf("subjects %+v, %v", s, err)
	}
}

// A repeated report changes nothing, however many are under way.
func TestPutIsIdempotent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.post("app")
	first := w.put(id, "succeeded", 3, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if again := w.put(id, "succeeded", 3, 0); again.UpdatedAt != first.UpdatedAt || again.Status != "succeeded" {
				t.Errorf("again %+v, first %+v", again, first)
			}
		})
	}
	wg.Wait()
	_, total, err := w.control.ExternalJobs(t.Context(), control.Caller{Project: "p", Role: task.Viewer, Actor: task.Actor{Dialect: task.DIDSpaces}},
		history.ExternalFilter{Origin: task.DIDSpaces, Statuses: []string{"succeeded"}}, 0, 1)
	if err != nil || total != 1 {
		t.Fatalf("%d entries succeeded, %v", total, err)
	}
}

// The client repeats a failed sync under the id of the failure: it ended when it succeeded.
func TestCorrectedEntryEndsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ended := func(id string) time.Time {
		t.Helper()
		j, err := w.control.ExternalJob(t.Context(), control.Caller{Project: "p", Role: task.Viewer, Actor: task.Actor{Dialect: task.DIDSpaces}}, task.JobID(id))
		if err != nil {
			t.Fatal(err)
		}
		return j.EndedAt
	}
	id := w.post("app")
	w.put(id, "failed", 0, 0)
	failed := ended(id)
	w.put(id, "succeeded", 3, 0)
	succeeded := ended(id)
	if !succeeded.After(failed) {
		t.Fatalf("it failed at %s and succeeded at %s", failed, succeeded)
	}
	if s, err := w.control.ExternalSubjects(t.Context(), w.admin, 10); err != nil || !s[0].SucceededAt.Equal(succeeded) {
		t.Fatalf("subjects %+v, %v; it succeeded at %s", s, err, succeeded)
	}
	w.put(id, "succeeded", 4, 0) // other figures of the same end
	if again := ended(id); !again.Equal(succeeded) {
		t.Fatalf("it ended at %s, then at %s", succeeded, again)
	}
}

// Switched on, an app is registered at its first signed request; not at a forged one.
func TestOpenRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.open.set(true)
	if a := w.do("unknown", "POST", w.base("app")+"/audit-log", "{}"); a.status != http.StatusForbidden {
		t.Fatalf("another app's log: %d", a.status)
	}
	if a := w.do("unknown", "POST", w.base("unknown")+"/audit-log", "{}", "x-app-token", "e30.e30.e30"); a.status != http.StatusUnauthorized {
		t.Fatalf("a forged token: %d", a.status)
	}
	registered := func() bool {
		t.Helper()
		all, err := w.control.Apps(t.Context(), w.admin)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(a task.App) bool { return a.DID == w.wallets["unknown"].did })
	}
	if registered() {
		t.Fatal("an app was registered that did not sign")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { w.post("unknown") })
	}
	wg.Wait()
	if !registered() {
		t.Fatal("the app is not registered")
	}
	// Whom an admin removes comes back, as long as it is switched on.
	if err := w.control.RemoveApp(t.Context(), w.admin, "did:abt:"+w.wallets["unknown"].did); err != nil {
		t.Fatal(err)
	}
	w.open.set(false)
	if a := w.do("unknown", "POST", w.base("unknown")+"/audit-log", "{}"); a.status != http.StatusForbidden || !strings.Contains(string(a.body), "lockstep app add") {
		t.Fatalf("a removed app: %d %s", a.status, a.body)
	}
}

// What the client would repeat is never the answer to what is its fault.
func TestClientFaultsAreNotRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	huge := `{"data":{"source":"a","target":"b","metadata":{"x":"` + strings.Repeat("x", 1<<20) + `"}}}`
	for body, code := range map[string]string{
		huge: "BODY_TOO_LARGE", "\xff": "BAD_JSON", `{"data":{"source":"\ud800","target":"b"}}`: "BAD_JSON", `{"data":{"source":"a"`: "BAD_JSON",
		`{"data":{"source":"a","target":"` + strings.Repeat("y", 20<<10) + `"}}`: "BAD_FIELD", strings.Repeat("[", 100_000): "BAD_JSON",
	} {
		a := w.do("app", "POST", w.base("app")+"/audit-log", body)
		if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), code) || strings.HasSuffix(string(a.body), "\n") {
			t.Errorf("%.40q: %d %s", body, a.status, a.body)
		}
	}
	// A wallet's own clock is no reason for 5xx either.
	if a := w.do("app", "POST", w.base("app")+"/audit-log", "{}", "x-app-token", strings.Repeat("x", 30<<10)); a.status != http.StatusUnauthorized {
		t.Errorf("a long token: %d %s", a.status, a.body)
	}
}

// Every one of the first 10,000 rows is on a page, whatever its size.
func TestLastPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed(t, 10_010)
	for _, c := range []struct {
		query string
		rows  int // 0: refused
		first string
	}{
		{"size=3&page=3332", 3, "entry14"},
		{"size=3&page=3333", 1, "entry11"},
		{"size=3&page=3334", 0, ""},
		{"size=3&page=2147483647", 0, ""},
		{"size=100&page=99", 100, "entry110"},
		{"size=100&page=100", 0, ""},
		{"size=1&page=9999", 1, "entry11"},
		{"size=7&page=1428", 4, "entry14"},
		{"size=7&page=1429&status=pending", 0, ""},
	} {
		target := w.base("app") + "/audit-log/list?" + c.query
		if c.rows == 0 {
			if a := w.do("app", "GET", target, ""); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "PAGE_TOO_FAR") {
				t.Errorf("%s: %d %s", c.query, a.status, a.body)
			}
			continue
		}
		var p page
		if w.ok("app", "GET", target, "", &p); len(p.Rows) != c.rows || p.Rows[0].ID != c.first || p.Total != 10_010 {
			t.Errorf("%s: %d rows of %d from %s on, want %d from %s on", c.query, len(p.Rows), p.Total, p.Rows[0].ID, c.rows, c.first)
		}
	}
}

// What one entry holds is bounded, and the refusal says what is too long, and how long it
// may be.
func TestEntriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	post := func(metadata int) answer {
		return w.do("app", "POST", w.base("app")+"/audit-log", `{"data":{"source":"a","target":"b","metadata":{"x":"`+strings.Repeat("x", metadata-len(`{"x":""}`))+`"}}}`)
	}
	if a := post(64 << 10); a.status != http.StatusOK {
		t.Errorf("64 KiB of metadata: %d %s", a.status, a.body)
	}
	if a := post(64<<10 + 1); a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "data.metadata is longer than 64 KiB") {
		t.Errorf("more than 64 KiB of metadata: %d %s", a.status, a.body)
	}
	id := w.post("app")
	w.put(id, "failed", 2, 1)
	a := w.do("app", "PUT", w.base("app")+"/audit-log", `{"id":"`+id+`","status":"succeeded","reason":"`+strings.Repeat("y", 16<<10+1)+
		`","data":{"totalCount":2,"errorCount":0,"size":0,"duration":0}}`)
	if a.status != http.StatusBadRequest || !strings.Contains(string(a.body), "reason is longer than 16 KiB") {
		t.Errorf("more than 16 KiB of reason: %d %s", a.status, a.body)
	}
	var p page
	w.ok("app", "GET", w.base("app")+"/audit-log/list", "", &p)
	if p.Total != 2 || p.Rows[0].ID != id || p.Rows[0].Status != "failed" {
		t.Errorf("after the refusals there are %d entries, the newest %+v", p.Total, p.Rows[0])
	}
}

// Names that differ from the client's in their case are unknown ones, and ignored.
func TestUnknownNamesAreIgnored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var e logEntry
	w.ok("app", "POST", w.base("app")+"/audit-log", `{"Data":1,"data":{"source":"a","Source":"z","target":"b","Metadata":"text","TotalCount":-1},"ActionType":5}`, &e)
	if e.Data.Source != "a" || e.Data.Metadata != nil {
		t.Errorf("posted %+v", e)
	}
	w.ok("app", "PUT", w.base("app")+"/audit-log", `{"id":"`+e.ID+`","ID":"other","status":"succeeded","Status":"none","REASON":7,
		"data":{"totalCount":3,"totalcount":null,"errorCount":1,"size":7,"Size":"7 bytes","duration":1.5,"SuccessCount":9}}`, &e)
	if e.Status != "succeeded" || e.Data.TotalCount != 3 || e.Data.SuccessCount != 2 || e.Data.Size != 7 {
		t.Errorf("put %+v", e)
	}
}

// DIDs in a path may be written with their method, and with its colons escaped.
func TestEscapedDIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post("app")
	for _, method := range []string{"", "did:abt:", "did%3Aabt%3A", "did%3aabt%3a"} {
		var p page
		w.ok("app", "GET", "/api/space/"+method+w.space+"/app/"+method+w.wallets["app"].did+"/audit-log/list?size=1&page=0", "", &p)
		if p.Total != 1 {
			t.Errorf("%q: %+v", method, p)
		}
	}
}

// A proxy takes a part of the path away and says so.
func TestBehindProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+w.base("app")[len("/app"):]+"/audit-log/list?size=1&page=0", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.signAs(req, "app", w.base("app")+"/audit-log/list?size=1&page=0")
	for prefix, want := range map[string]int{"": 401, "/app": 200, "/app/": 200, "/other": 401, "app": 401} {
		req.Header.Set("X-Forwarded-Prefix", prefix)
		resp, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", prefix, resp.StatusCode, want)
		}
	}
}

// Bodies of all kinds are stored whole or refused with a reason, never worse.
func FuzzBodies(f *testing.F) {
	w := newWorld(f)
	id := w.post("app")
	for _, body := range []string{
		`{"actionType":"app-objects-sync","data":{"source":"a","target":"b","metadata":{"k":[1,null,"x"]},"totalCount":1}}`,
		`{"id":"` + id + `","status":"FAILURE","reason":"r","data":{"totalCount":3,"errorCount":1,"successCount":2,"size":1e3,"duration":0.5}}`,
		`{"id":"` + id + `","status":"succeeded","data":{"totalCount":-0,"errorCount":0,"size":0,"duration":0}}`, `null`, `{"data":null}`, "",
	} {
		f.Add(true, body)
		f.Add(false, body)
	}
	f.Fuzz(func(t *testing.T, post bool, body string) {
		method := "PUT"
		if post {
			method = "POST"
		}
		a := w.in(t).do("app", method, w.base("app")+"/audit-log", body)
		switch a.status {
		case http.StatusOK:
			var e logEntry
			if err := json.Unmarshal(a.body, &e); err != nil {
				t.Fatal(err)
			}
			if d := e.Data; d.TotalCount < d.ErrorCount+d.SuccessCount || d.ErrorCount < 0 || d.SuccessCount < 0 || d.Size < 0 || d.Duration < 0 || d.Source == "" || d.Target == "" {
				t.Fatalf("%q makes %+v", body, e)
			}
		case http.StatusBadRequest, http.StatusNotFound:
			if len(a.body) == 0 {
				t.Fatalf("%q is refused without a reason", body)
			}
		default:
			t.Fatalf("%q: %d %s", body, a.status, a.body)
		}
	})
}

// Queries of all kinds give a page of a list or a reason.
func FuzzListQueries(f *testing.F) {
	w := newWorld(f)
	w.put(w.post("app"), "failed", 2, 1)
	for _, q := range []string{
		"size=10&page=0&sort&order=0", "size=5&page=1&sort=createdAt&order=1&status=succeeded&status=failed&actionType=app-objects-sync",
		"status=INITIAL&sort=status", "size=100&page=99", "size=9999999999", "a=%zz", ";", "size=+5&page=%30",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		u, err := url.Parse("http://x/?" + query)
		if err != nil || u.Fragment != "" || strings.ContainsAny(query, "#\"\\") || u.RequestURI() != "/?"+query {
			t.Skip("no client sends it like that")
		}
		a := w.in(t).do("app", "GET", w.base("app")+"/audit-log/list?"+query, "")
		switch a.status {
		case http.StatusOK:
			var p page
			if err := json.Unmarshal(a.body, &p); err != nil || p.Size < 1 || p.Size > 100 || len(p.Rows) > p.Size || int64(len(p.Rows)) > p.Total || p.Total != p.Count {
				t.Fatalf("%q: %s, %v", query, a.body, err)
			}
		case http.StatusBadRequest:
		default:
			t.Fatalf("%q: %d %s", query, a.status, a.body)
		}
	})
}

// A list is the same whether it is read in pages or at once.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 7 {
		w.post("app")
	}
	var all page
	w.ok("app", "GET", w.base("app")+"/audit-log/list?size=1000", "", &all)
	if all.Size != 100 || len(all.Rows) != 7 || all.Total != 7 {
		t.Fatalf("list of %d rows, size %d", len(all.Rows), all.Size)
	}
	var got []logEntry
	for i := range 4 {
		var p page
		w.ok("app", "GET", w.base("app")+fmt.Sprintf("/audit-log/list?size=2&page=%d", i), "", &p)
		got = append(got, p.Rows...)
	}
	for i, e := range all.Rows {
		if got[i].ID != e.ID || i > 0 && e.CreatedAt > all.Rows[i-1].CreatedAt {
			t.Fatalf("row %d: %+v, %+v", i, got[i], e)
		}
	}
}
