package native_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestEventsToProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.addTask("t1")
	odd := "odd\xff\x00/"
	var got native.Accepted
	w.want(w.sender, "POST", "/tasks/t1/events", fmt.Sprintf(`{"keys":["a","b+c //d","é"],"events":[{"key":"late","not_before":"2000-01-01T00:00:00Z"},{"key_base64":%q}]}`,
		base64.StdEncoding.EncodeToString([]byte(odd))), 202, &got)
	if got.Keys != 5 || got.Skipped != 0 || got.Job == "" || got.At == nil {
		t.Fatalf("accepted %+v", got)
	}
	var s native.Status
	w.want(w.viewer, "GET", "/tasks/"+string(k.ID)+"/status", "", 200, &s)
	if s.InStep || s.Counts.Requested != 5 || s.Counts.Pending != 5 {
		t.Fatalf("before the work: %+v", s)
	}
	var seen []string
	w.work(func(r queue.Record) queue.Settlement {
		seen = append(seen, r.Key)
		if r.Key == odd {
			return failing(r)
		}
		return syncing(r)
	})
	if len(seen) != 5 {
		t.Fatalf("worked %q", seen)
	}
	var fs native.Page[native.Failure]
	w.want(w.viewer, "GET", "/tasks/t1/failures?open=true&reason=DST_DENIED", "", 200, &fs)
	if len(fs.Items) != 1 || string(fs.Items[0].Base64) != odd || fs.Items[0].Code != "AccessDenied" || !fs.Items[0].Open {
		t.Fatalf("failures %+v", fs)
	}
	var reasons native.ReasonCounts
	w.want(w.viewer, "GET", "/tasks/t1/reasons?job="+string(got.Job), "", 200, &reasons)
	want := native.ReasonCounts{Synced: map[task.Reason]int64{"COPIED": 4}, Failed: map[task.Reason]int64{"DST_DENIED": 1}, Ignored: map[task.Reason]int64{}}
	if d := cmp.Diff(want, reasons); d != "" {
		t.Fatal(d)
	}
	var month native.Span
	w.want(w.viewer, "GET", "/tasks/t1/statistics/month", "", 200, &month)
	if month.Counts.Synced != 4 || month.Counts.Failed != 1 || month.Counts.Bytes != 12 {
		t.Fatalf("month %+v", month)
	}
	var spans native.Page[native.Span]
	now := time.Now().UTC()
	w.want(w.viewer, "GET", fmt.Sprintf("/tasks/t1/statistics?from=%s&to=%s", now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)), "", 200, &spans)
	if len(spans.Items) != 1 || spans.Items[0].Counts.Requested != 5 {
		t.Fatalf("intervals %+v", spans)
	}
	w.refused(w.viewer, "GET", "/tasks/t1/statistics?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "", 400, "BAD_TIME_RANGE")

	for _, reason := range []string{"DST_DENYED", "SUPERSEDED", "dst_denied"} {
		p := w.refused(w.operator, "POST", "/tasks/t1/retry", `{"reason":"`+reason+`"}`, 400, "UNKNOWN_REASON")
		if !strings.Contains(p.Detail, reason) || !strings.Contains(p.Next, "DST_DENIED") {
			t.Errorf("%s: %+v", reason, p)
		}
		w.refused(w.viewer, "GET", "/tasks/t1/failures?reason="+reason, "", 400, "UNKNOWN_REASON")
	}
	var retry native.Job
	w.want(w.operator, "POST", "/tasks/t1/retry", `{"reason":"DST_DENIED"}`, 202, &retry)
	if retry.Kind != task.RetryJob || retry.Counts.Requested != 1 || retry.ClosedAt == nil {
		t.Fatalf("retry %+v", retry)
	}
	w.want(w.operator, "POST", "/tasks/t1/retry", "", 202, nil) // a body may be left out
	w.work(syncing)
	var p native.Proof
	for _, path := range []string{"/tasks/t1/prove", "/jobs/" + string(got.Job) + "/prove"} {
		w.want(w.viewer, "POST", path, "", 200, &p)
		if !p.OK || p.Broken != "" || p.Counts.Synced != 5 || p.Counts.Failed != 0 || p.Rows.Stored.Received != 5 || p.Rows.Stored.Retried != 1 {
			t.Fatalf("%s: %+v", path, p)
		}
	}
	w.want(w.viewer, "GET", "/tasks/t1/status", "", 200, &s)
	if !s.InStep || s.Behind != 0 {
		t.Fatalf("after the work: %+v", s)
	}
}

func TestEventsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.addTask("t1")
	many := strings.TrimSuffix(strings.Repeat(`"k",`, 600), ",")
	path := "/tasks/t1/events"
	w.refused(w.sender, "POST", path, `{}`, 400, "NO_KEYS")
	w.refused(w.sender, "POST", path, `{"keys":[`+many+`],"events":[`+strings.TrimSuffix(strings.Repeat(`{"key":"k"},`, 600), ",")+`]}`, 400, "TOO_MANY_KEYS")
	w.refused(w.sender, "POST", path, `{"keys":["`+strings.Repeat("k", task.MaxKeyBytes+1)+`"]}`, 400, "INVALID")
	w.refused(w.sender, "POST", path, `{"events":[{"key":"a","key_base64":"AA=="}]}`, 400, "KEY_TWICE")
	w.refused(w.sender, "POST", path, `{"keys":["\udc00"]}`, 400, "BAD_JSON")
	w.want(w.sender, "POST", path, `{"keys":["\ud83d\ude00 \\ud800 \ufffd"]}`, 202, nil)
	w.refused(w.sender, "POST", path, `{"keys":["a"]}`, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type", "text/plain")

	// Lists of our own are invisible, whoever's task they are; other keys there are not.
	var got native.Accepted
	w.want(w.sender, "POST", path, fmt.Sprintf(`{"keys":["oms/sync_task/%s/object_lists/1.txt","oms/sync_task/%s/x","oms/x"]}`, k.ID, task.NewID()), 202, &got)
	if got.Keys != 2 || got.Skipped != 1 {
		t.Fatalf("accepted %+v", got)
	}
	got = native.Accepted{}
	w.want(w.sender, "POST", path, fmt.Sprintf(`{"keys":["oms/sync_task/%s/x"]}`, k.ID), 202, &got)
	if got.Keys != 0 || got.Skipped != 1 || got.Job != "" {
		t.Fatalf("accepted %+v", got)
	}

	w.want(w.operator, "POST", "/tasks/t1/pause", "", 200, nil)
	w.want(w.sender, "POST", path, `{"keys":["kept"]}`, 202, nil)
	w.want(w.operator, "POST", "/tasks/t1/stop", "", 200, nil)
	w.refused(w.sender, "POST", path, `{"keys":["refused"]}`, 409, "TASK_STOPPED")
	w.refused(w.operator, "POST", "/tasks/t1/scan", "", 409, "TASK_STOPPED")
	w.refused(w.operator, "POST", "/tasks/t1/resume", "", 409, "TASK_STOPPED")
	w.want(w.operator, "DELETE", "/tasks/t1", "", 204, nil)
	w.refused(w.sender, "POST", path, `{"keys":["late"]}`, 404, "TASK_NOT_FOUND")
}

func TestTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.addTask("first")
	create := func(body string, code string) {
		t.Helper()
		status := 400
		if code == "DESTINATION_OVERLAPS" || code == "TASK_NAME_TAKEN" {
			status = 409
		}
		p := w.refused(w.operator, "POST", "/tasks", body, status, code)
		if code == "DESTINATION_OVERLAPS" && !strings.Contains(p.Detail, `"first"`) {
			t.Errorf("%s does not name the other task", p.Detail)
		}
		if p.Next == "" {
			t.Errorf("%s: no advice", code)
		}
	}
	with := func(name, dst, options string) string {
		return fmt.Sprintf(`{"name":%q,"source":{"endpoint":"src","bucket":"b"},"destination":{"endpoint":"dst","bucket":"b","prefix":%q},"options":{%s}}`, name, dst, options)
	}
	create(with("first", "other/", ""), "TASK_NAME_TAKEN")
	create(with("x", "first/below/", ""), "DESTINATION_OVERLAPS")
	create(with("x", "", ""), "DESTINATION_OVERLAPS")
	create(with("x", "x/", `"filter":["exclude [z"]`), "BAD_FILTER")
	create(with("x", "x/", `"compare":"guess"`), "BAD_COMPARE")
	create(with("x", "x/", `"schedule":{"cron":"every day"}`), "BAD_SCHEDULE")
	create(with("x", "x/", `"schedule":{"cron":"0 0 * * *","zone":"Mars/Base"}`), "BAD_SCHEDULE")
	create(with("x", "x/", `"bandwidth":[{"from":"9","to":"10:00","bytes_per_second":1}]`), "BAD_WINDOW")
	create(with(string(task.NewID()), "x/", ""), "BAD_NAME")
	create(with("x", "oms/sync_task/"+string(first.ID)+"/y/", ""), "LIST_PREFIX")
	create(`{"name":"x","source":{"endpoint":"none","bucket":"b"},"destination":{"endpoint":"dst","bucket":"b","prefix":"x/"}}`, "ENDPOINT_UNKNOWN")
	create(`{"name":"x","source":{"endpoint":"dst","bucket":"b"},"destination":{"endpoint":"dst","bucket":"b","prefix":"x/"}}`, "SOURCE_IS_DESTINATION")
	full := with("second", "second/", `"compare":"oms","deletes":true,"guard":{"max_deletes":5},"filter":["exclude *.tmp"],"concurrency":4,
		"bandwidth":[{"from":"09:00","to":"17:00","zone":"Europe/Berlin","bytes_per_second":1000}],"schedule":{"cron":"30 2 * * *","zone":"Europe/Berlin","missed":"skip"}`)
	var k, again native.Task
	w.want(w.operator, "POST", "/tasks", full, 201, &k)
	w.want(w.viewer, "GET", "/tasks/second", "", 200, &again)
	if d := cmp.Diff(k, again); d != "" || k.Options.Guard.MaxDeletes != 5 || k.Origin != task.Native || k.Version != 1 {
		t.Fatalf("%+v\n%s", k, d)
	}

	w.want(w.operator, "PATCH", "/tasks/second", `{"version":1,"name":"renamed"}`, 200, &again)
	if again.Name != "renamed" || again.Version != 2 || again.Options.Guard.MaxDeletes != 5 {
		t.Fatalf("changed %+v", again)
	}
	w.refused(w.operator, "PATCH", "/tasks/renamed", `{"version":1,"name":"lost"}`, 409, "TASK_CHANGED")
	w.refused(w.operator, "PATCH", "/tasks/renamed", `{"source":{"endpoint":"src","bucket":"elsewhere"}}`, 409, "TASK_NOT_STOPPED")
	w.refused(w.operator, "DELETE", "/tasks/renamed", "", 409, "TASK_NOT_STOPPED")
	w.want(w.operator, "POST", "/tasks/renamed/stop", "", 200, nil)
	w.want(w.operator, "PATCH", "/tasks/renamed", `{"source":{"endpoint":"src","bucket":"elsewhere"}}`, 200, &again)
	if again.Source.Bucket != "elsewhere" {
		t.Fatalf("moved %+v", again)
	}
	w.refused(w.operator, "PATCH", "/tasks/renamed", `{"destination":{"endpoint":"dst","bucket":"b","prefix":"first/x"}}`, 409, "DESTINATION_OVERLAPS")
}

func TestOverlapUnderAnotherName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"one", "two"} {
		w.want(w.admin, "POST", "/endpoints", `{"name":"`+name+`","provider":"minio","url":"https://Store.example/"}`, 201, nil)
	}
	body := `{"name":"%s","source":{"endpoint":"one","bucket":"s"},"destination":{"endpoint":"%s","bucket":"d"}}`
	w.want(w.operator, "POST", "/tasks", fmt.Sprintf(body, "a", "one"), 201, nil)
	p := w.refused(w.operator, "POST", "/tasks", fmt.Sprintf(body, "b", "two"), 409, "DESTINATION_OVERLAPS")
	if !strings.Contains(p.Detail, `"a"`) {
		t.Error(p.Detail)
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.addTask(fmt.Sprintf("t%d", i))
	}
	w.want(w.sender, "POST", "/tasks/t0/events", `{"keys":["a","b","c","d","e"]}`, 202, nil)
	w.work(failing)
	for _, path := range []string{"/tasks?", "/status?", "/audit?", "/tasks/t0/failures?"} {
		var all, one native.Page[map[string]any]
		w.want(w.admin, "GET", path, "", 200, &all)
		if len(all.Items) < 5 || all.Next != "" {
			t.Fatalf("%s: %d items, next %q", path, len(all.Items), all.Next)
		}
		var walked []map[string]any
		for cursor := ""; ; cursor = one.Next {
			one = native.Page[map[string]any]{}
			w.want(w.admin, "GET", path+"limit=2&cursor="+cursor, "", 200, &one)
			walked = append(walked, one.Items...)
			if one.Next == "" || len(one.Items) != 2 {
				break
			}
		}
		// What depends on when a status was read.
		clock := cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "at" || name == "heard" || name == "behind_seconds" })
		if d := cmp.Diff(all.Items, walked, clock); d != "" {
			t.Errorf("%s: %s", path, d)
		}
		w.refused(w.admin, "GET", path+"cursor=AAAA", "", 400, "BAD_CURSOR")
		w.refused(w.admin, "GET", path+"cursor=%21", "", 400, "BAD_CURSOR")
		w.refused(w.admin, "GET", path+"limit=0", "", 400, "BAD_REQUEST")
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	// A secret is answered again, and stored sealed.
	first := w.want(w.admin, "POST", "/keys", `{"role":"viewer"}`, 201, nil, "Idempotency-Key", "k1")
	again := w.want(w.admin, "POST", "/keys", `{"role":"viewer"}`, 201, nil, "Idempotency-Key", "k1")
	if string(first.body) != string(again.body) || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" {
		t.Fatalf("%s\n%s", first.body, again.body)
	}
	w.refused(w.admin, "POST", "/keys", `{"role":"admin"}`, 409, "IDEMPOTENCY_KEY_REUSED", "Idempotency-Key", "k1")
	w.refused(w.operator, "POST", "/keys", `{"role":"viewer"}`, 409, "IDEMPOTENCY_KEY_REUSED", "Idempotency-Key", "k1")
	w.refused(w.admin, "POST", "/keys", `{"role":"viewer"}`, 400, "BAD_IDEMPOTENCY_KEY", "Idempotency-Key", strings.Repeat("x", 256))
	var keys native.Page[native.AccessKey]
	w.want(w.admin, "GET", "/keys", "", 200, &keys)
	if len(keys.Items) != 5 {
		t.Fatalf("%d keys, want 5", len(keys.Items))
	}
	// A request that failed may be made again.
	w.want(w.operator, "POST", "/tasks/t1/stop", "", 200, nil)
	w.refused(w.operator, "POST", "/tasks/t1/scan", "", 409, "TASK_STOPPED", "Idempotency-Key", "k2")
	w.want(w.operator, "POST", "/tasks/t1/start", "", 200, nil)
	w.want(w.operator, "POST", "/tasks/t1/scan", "", 202, nil, "Idempotency-Key", "k2")
	w.want(w.operator, "POST", "/tasks/t1/scan", "", 202, nil, "Idempotency-Key", "k2")
	w.refused(w.operator, "POST", "/tasks/t1/scan", "", 409, "SCAN_RUNNING")

	// At once: one does it, the others are told or get its answer.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			a := w.do(w.sender, "POST", "/tasks/t1/events", `{"keys":["once"]}`, "Idempotency-Key", "k3")
			if a.status != 202 && a.status != 409 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	var s native.Status
	w.want(w.viewer, "GET", "/tasks/t1/status", "", 200, &s)
	if s.Counts.Requested != 1 {
		t.Fatalf("requested %d, want 1", s.Counts.Requested)
	}
}

func TestManifest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	var csv, jsonl strings.Builder
	csv.WriteString("bucket,key\n")
	for i := range 2500 {
		fmt.Fprintf(&csv, "b,\"k %d\"\n", i)
		fmt.Fprintf(&jsonl, "{\"key\":\"j%d\"}\n", i)
	}
	jsonl.WriteString("\"plain\"\n\n{\"key_base64\":\"/w==\"}\n")
	var j native.Job
	for _, m := range []struct {
		kind, body string
		want       int64
	}{{"text/csv; charset=utf-8", csv.String(), 2500}, {"application/jsonl", jsonl.String(), 2502}, {"application/x-ndjson", "", 0}, {"text/csv", "one\ntwo\n", 2}} {
		if m.body == "" {
			m.body = "\n"
		}
		w.want(w.operator, "POST", "/tasks/t1/manifest", m.body, 202, &j, "Content-Type", m.kind)
		if j.Kind != task.ManifestJob || j.Counts.Requested != m.want || j.State != task.JobClosed {
			t.Fatalf("%s: %+v", m.kind, j)
		}
	}
	w.refused(w.operator, "POST", "/tasks/t1/manifest", "x", 415, "UNSUPPORTED_MEDIA_TYPE")
	w.refused(w.viewer, "POST", "/tasks/t1/manifest", "x", 403, "ROLE_DENIED", "Content-Type", "text/csv")
	w.refused(w.stranger, "POST", "/tasks/t1/manifest", "x", 404, "TASK_NOT_FOUND", "Content-Type", "text/csv")
	p := w.refused(w.operator, "POST", "/tasks/t1/manifest", "\"a\"\n{]\n", 400, "BAD_MANIFEST", "Content-Type", "application/jsonl")
	if !strings.Contains(p.Detail, "key 2") {
		t.Errorf("%s does not name the key", p.Detail)
	}
	var js native.Page[native.Job]
	w.want(w.viewer, "GET", "/jobs?kind=manifest&task=t1&limit=1", "", 200, &js)
	if js.Items[0].State != task.JobCancelled && js.Items[0].State != task.JobCancelling {
		t.Errorf("a manifest that broke is %s", js.Items[0].State)
	}
	w.work(syncing)
	w.want(w.viewer, "POST", "/tasks/t1/prove", "", 200, nil)
}

func TestExplainAndCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	w.want(w.operator, "PATCH", "/tasks/t1", `{"options":{"filter":["exclude *.tmp"]}}`, 200, nil)
	put := func(endpoint, prefix, key string) {
		b, err := w.stores.Bucket(t.Context(), "p", task.Location{Endpoint: task.EndpointID(endpoint), Bucket: "b", Prefix: prefix})
		w.must(err)
		_, err = b.Put(t.Context(), key, strings.NewReader("abc"), 3, objstore.PutOptions{})
		w.must(err)
	}
	put("src", "", "new")
	put("src", "", "x.tmp")
	put("src", "", "both")
	put("dst", "t1/", "both")
	put("dst", "t1/", "old")
	for key, want := range map[string]native.Explanation{
		"new":   {Verdict: "copy"},
		"both":  {Verdict: "ignore", Reason: task.UpToDate},
		"x.tmp": {Verdict: "ignore", Reason: task.Excluded, Rule: 1, RuleText: "exclude *.tmp"},
		"old":   {Verdict: "leave"},
		"none":  {Verdict: "leave"},
	} {
		var e native.Explanation
		w.want(w.viewer, "POST", "/tasks/t1/explain", `{"key":"`+key+`"}`, 200, &e)
		if e.Verdict != want.Verdict || e.Reason != want.Reason || e.Rule != want.Rule || e.RuleText != want.RuleText {
			t.Errorf("%s: %+v", key, e)
		}
		if e.Source.Exists != (key != "old" && key != "none") || e.Destination.Exists != (key == "both" || key == "old") {
			t.Errorf("%s: sides %+v %+v", key, e.Source, e.Destination)
		}
	}
	w.want(w.sender, "POST", "/tasks/t1/events", `{"keys":["new"]}`, 202, nil)
	var e native.Explanation
	w.want(w.viewer, "POST", "/tasks/t1/explain", `{"key":"new"}`, 200, &e)
	if e.Waiting == nil || e.Waiting.By != task.EventsJob {
		t.Fatalf("waiting %+v", e)
	}
	w.work(failing)
	e = native.Explanation{}
	w.want(w.viewer, "POST", "/tasks/t1/explain", `{"key":"new"}`, 200, &e)
	if e.Waiting != nil || len(e.Failures) != 1 || e.Failures[0].Reason != task.DestinationDenied {
		t.Fatalf("failed %+v", e)
	}

	var c native.Check
	w.want(w.admin, "POST", "/endpoints/dst/check", `{"bucket":"b","prefix":"t1/","write":true}`, 200, &c)
	names := []string{}
	for _, p := range c.Probes {
		names = append(names, p.Name)
	}
	if d := cmp.Diff([]string{"list", "get", "tags", "put", "set tags", "multipart", "delete"}, names); d != "" || !c.OK {
		t.Fatalf("%+v\n%s", c, d)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+native.Root+"/tasks/t1/live", nil)
	w.must(err)
	req.SetBasicAuth(w.viewer.id, w.viewer.secret)
	resp, err := httpClient.Do(req)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%d %s", resp.StatusCode, ct)
	}
	lines := bufio.NewScanner(resp.Body)
	await := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %s: %v", part, lines.Err())
	}
	await(`"pending":0`)
	w.want(w.sender, "POST", "/tasks/t1/events", `{"keys":["a","b"]}`, 202, nil)
	await(`"pending":2`)
	w.work(syncing)
	await(`"synced":2`)
	w.want(w.viewer, "HEAD", "/tasks/t1/live", "", 200, nil)
	close(w.stop)
	await("event: stopping")
}

func TestKeysAndRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	var k native.AccessKey
	w.want(w.admin, "POST", "/keys", `{"role":"viewer","name":"n"}`, 201, &k)
	c := client{string(k.ID), k.Secret}
	w.want(c, "GET", "/tasks", "", 200, nil)
	w.want(w.admin, "DELETE", "/keys/"+c.id, "", 204, nil)
	w.refused(c, "GET", "/tasks", "", 401, "BAD_CREDENTIALS")
	w.refused(w.admin, "DELETE", "/keys/"+w.admin.id, "", 409, "KEY_IN_USE")
	w.refused(w.stranger, "DELETE", "/keys/"+w.viewer.id, "", 404, "KEY_NOT_FOUND")
	w.refused(w.admin, "POST", "/keys", `{"role":"viewer","expires_at":"2001-01-01T00:00:00Z"}`, 400, "BAD_EXPIRY")

	for _, a := range []answer{
		w.want(w.admin, "GET", "/keys", "", 200, nil), w.want(w.admin, "GET", "/endpoints", "", 200, nil),
		w.want(w.admin, "PUT", "/endpoints/src/credentials", `{"access_key":"AK2","secret_key":"s3cr3t-new"}`, 200, nil),
		w.want(w.admin, "GET", "/audit", "", 200, nil),
		w.do(w.admin, "POST", "/endpoints", `{"name":"e","provider":"mem","credentials":{"secret_key":"s3cr3t-alone","access_key":7}}`),
		w.do(w.admin, "POST", "/endpoints", `{"name":"e","provider":"aws","url":"https://u:s3cr3t-url@host"}`),
		w.do(w.admin, "POST", "/endpoints", `{"name":"e","provider":"mem","url":"","credentials":{"access_key":"a","secret_key":["s3cr3t-list"]}}`),
	} {
		if strings.Contains(string(a.body), "s3cr3t") || strings.Contains(string(a.body), w.admin.secret) {
			t.Errorf("an answer holds a secret: %s", a.body)
		}
	}
	var v native.Verified
	w.want(w.admin, "POST", "/audit/verify", "", 200, &v)
	if !v.OK || v.Entries == 0 {
		t.Fatalf("audit %+v", v)
	}
}

// TestClock makes a task with a schedule and windows, and sees when it runs.
func TestClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	const options = `{"options":{"schedule":{"cron":%q,"zone":%q},"bandwidth":[{"from":%q,"to":"18:00","zone":"Europe/Berlin","bytes_per_second":1000}]}}`
	w.refused(w.operator, "PATCH", "/tasks/t1", fmt.Sprintf(options, "* * *", "", "08:00"), 400, "BAD_SCHEDULE")
	w.refused(w.operator, "PATCH", "/tasks/t1", fmt.Sprintf(options, "* * * * *", "Mars", "08:00"), 400, "BAD_SCHEDULE")
	w.refused(w.operator, "PATCH", "/tasks/t1", fmt.Sprintf(options, "* * * * *", "", "8:00"), 400, "BAD_WINDOW")
	var k native.Task
	w.want(w.operator, "PATCH", "/tasks/t1", fmt.Sprintf(options, "0 12 * * *", "Asia/Tokyo", "08:00"), 200, &k)
	if k.NextRun == nil || k.NextRun.Hour() != 3 || time.Until(*k.NextRun) > 25*time.Hour || k.Options.Bandwidth[0].BytesPerSecond != 1000 {
		t.Fatalf("task %+v", k)
	}
	var s native.Status
	w.want(w.viewer, "GET", "/tasks/t1/status", "", 200, &s)
	if s.Clock == nil || s.Clock.Next == nil || !s.Clock.Next.Equal(*k.NextRun) || s.Clock.Last != "" {
		t.Fatalf("status %+v", s.Clock)
	}
	k = native.Task{}
	w.want(w.operator, "POST", "/tasks/t1/pause", "", 200, &k)
	w.want(w.viewer, "GET", "/tasks/t1/status", "", 200, &s)
	if k.NextRun != nil {
		t.Fatalf("a paused task runs at %s", k.NextRun)
	}
	s = native.Status{}
	w.want(w.operator, "PATCH", "/tasks/t1", `{"options":{}}`, 200, nil)
	w.want(w.viewer, "GET", "/tasks/t1/status", "", 200, &s)
	if s.Clock != nil {
		t.Fatalf("without a schedule %+v", s.Clock)
	}
}
