package oms_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// The three examples of the API page end in the right objects, and a literal plus is
// found in its own lane.
func TestEventsSyncTheObjectsTheyName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, k := range []string{"test/001.txt", "test+001.txt", "test 001.txt", "only+plus.txt"} {
		w.s3.Put("src", k, []byte("data of "+k))
	}
	path := w.newTask("dst")
	w.want(w.sender, "POST", path+"/events", objectKeys("test%2F001.txt", "test%2B001.txt", "test+001.txt", "only+plus.txt", "not-there"), 200, "", nil)
	m := w.settled(path, 6) // the literal plus is a record of its own
	if m.Success != 4 || m.Failure != 1 || m.Skip != 1 || m.Requested != 6 {
		t.Fatalf("%+v", m)
	}
	for _, k := range []string{"test/001.txt", "test+001.txt", "test 001.txt", "only+plus.txt"} {
		if got, ok := w.s3.Get("dst", k); !ok || string(got) != "data of "+k {
			t.Errorf("%s: %q", k, got)
		}
	}
	if _, ok := w.s3.Get("dst", "only plus.txt"); ok {
		t.Error("a key was written that the source does not hold")
	}
	var stat struct {
		Width string `json:"statistic_time_type"`
		Datas []struct {
			Type string `json:"data_type"`
			Data []struct {
				At int64 `json:"time_stamp"`
				N  int64 `json:"statistic_num"`
			} `json:"data"`
		} `json:"statistic_datas"`
	}
	now := time.Now().UnixMilli()
	for width, from := range map[string]int64{"FIVE_MINUTES": now - 3_600_000, "ONE_HOUR": now - 48*3_600_000} {
		w.want(w.viewer, "GET", fmt.Sprintf("%s/statistics?data_type=SIZE%%2CREQUEST%%2CFAILURE,SKIP,SUCCESS&start_time=%d&end_time=%d", path, from, now+1), "", 200, "", &stat)
		sums := map[string]int64{}
		order := ""
		for _, s := range stat.Datas {
			order += s.Type + " "
			for _, p := range s.Data {
				sums[s.Type] += p.N
				if p.At%300_000 != 0 {
					t.Errorf("%s: stamp %d", width, p.At)
				}
			}
		}
		if stat.Width != width || order != "SIZE REQUEST FAILURE SKIP SUCCESS " || sums["REQUEST"] != 6 || sums["SUCCESS"] != 4 || sums["FAILURE"] != 1 || sums["SKIP"] != 1 || sums["SIZE"] != m.Size {
			t.Errorf("%s: %+v", width, stat)
		}
	}
}

// TestStopAnswersAfterTheStateHasChanged: a client reads the status right after the
// answer, and deletes without waiting.
func TestStopAnswersAfterTheStateHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	for range 5 {
		w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
		if m := w.month(path); m.Status != "STOPPED" {
			t.Fatalf("after stop: %s", m.Status)
		}
		w.want(w.sender, "POST", path+"/events", objectKeys("a"), 400, "OMS.1036", nil)
		w.want(w.operator, "POST", path+"/start", keysBody, 200, "", nil)
		if m := w.month(path); m.Status != "SYNCHRONIZING" {
			t.Fatalf("after start: %s", m.Status)
		}
	}
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	w.want(w.operator, "DELETE", path, "", 200, "", nil)
	w.want(w.operator, "GET", path+"?query_time=1", "", 404, "OMS.1009", nil)
}

// Keys are given anew at every start; the pair of before is used no more.
func TestKeysAreDroppedOnStopAndReplacedAtStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	w.s3.Put("src", "a", []byte("1"))
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	w.settled(path, 1)
	id := path[strings.LastIndexByte(path, '/')+1:]
	kept, err := w.s.Control().Task(t.Context(), w.s.Admin(), id)
	w.must(err)
	if len(kept.Sealed) == 0 {
		t.Fatal("no credentials beside the task")
	}
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	stopped, err := w.s.Control().Task(t.Context(), w.s.Admin(), id)
	w.must(err)
	if len(stopped.Sealed) != 0 {
		t.Fatal("credentials stay after a stop")
	}
	// Another dialect cannot start what has no keys any more.
	if _, err := w.s.Control().StartTask(t.Context(), w.s.Admin(), id); err == nil || !strings.Contains(err.Error(), "dropped") {
		t.Fatalf("started without keys: %v", err)
	}
	w.want(w.operator, "POST", path+"/start", strings.Replace(keysBody, "storesecret", "wrong", 1), 400, "OMS.0057", nil)
	if m := w.month(path); m.Status != "STOPPED" {
		t.Fatal(m.Status)
	}
	w.s3.Put("src", "b", []byte("2"))
	w.want(w.operator, "POST", path+"/start", keysBody, 200, "", nil)
	w.want(w.sender, "POST", path+"/events", objectKeys("b"), 200, "", nil)
	if m := w.settled(path, 2); m.Success != 2 {
		t.Fatalf("%+v", m)
	}
}

// An endpoint with registered credentials takes that pair alone, at create and start.
func TestRegisteredCredentialsAreTheOnlyOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.operator, "POST", p1, create("dst", "dst_sk", `"other"`), 400, "OMS.0058", nil)
	w.want(w.operator, "POST", p1, create("dst", "dst_ak", `"other"`), 400, "OMS.0058", nil)
	w.want(w.operator, "POST", p1, create("dst", "src_sk", `"other"`), 400, "OMS.0057", nil) // the store's own refusal
	path := w.newTask("dst")
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	w.want(w.operator, "POST", path+"/start", strings.Replace(keysBody, `"dst_sk":"storesecret"`, `"dst_sk":"x"`, 1), 400, "OMS.0058", nil)
	if m := w.month(path); m.Status != "STOPPED" {
		t.Fatal(m.Status)
	}
	if text := w.log.String(); strings.Contains(text, "storesecret") {
		t.Fatal("a secret is in the log")
	}
}

// OMS calls its own cloud HEC as a destination and HuaweiCloud as a source: an endpoint
// that is registered by one name is found by the other, unless another has that very name.
func TestOneCloudHasTwoNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := func() task.EndpointID {
		t.Helper()
		var made struct {
			ID string `json:"sync_task_id"`
		}
		w.want(w.operator, "POST", p1, create("dst2", "src_cloud_type", `"HuaweiCloud"`, "src_region", `"cn-north-4"`), 200, "", &made)
		k, err := w.s.Control().Task(t.Context(), w.s.Admin(), made.ID)
		w.must(err)
		w.want(w.operator, "POST", p1+"/"+made.ID+"/stop", "", 200, "", nil)
		w.want(w.operator, "DELETE", p1+"/"+made.ID, "", 200, "", nil)
		return k.Source.Endpoint
	}
	if at := source(); at != "obs" {
		t.Errorf("the source is at %s", at)
	}
	_, err := w.s.Control().CreateEndpoint(t.Context(), w.s.Admin(), control.NewEndpoint{
		ID: "named", Provider: "generic", URL: w.s3.URL, Aliases: []string{"HuaweiCloud/cn-north-4", "hec/another"},
	})
	w.must(err)
	if at := source(); at != "named" {
		t.Errorf("the source is at %s", at)
	}
	var clouds []string
	w.want(w.viewer, "GET", "/v2/p1/objectstorage/cloud-type?type=dst", "", 200, "", &clouds)
	if !slices.Equal(clouds, []string{"HEC", "HuaweiCloud", "hec"}) {
		t.Errorf("destinations %q", clouds)
	}
}

// An endpoint that takes the credentials of the machine does not lend them to a client
// that asks without a pair.
func TestTheMachinesCredentialsAreNotLent(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "STOREKEY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "storesecret")
	w := newWorld(t)
	_, err := w.s.Control().CreateEndpoint(t.Context(), w.s.Admin(), control.NewEndpoint{
		ID: "machine", Provider: "generic", URL: w.s3.URL, Region: "us-east-1", Aliases: []string{"UCloud/here"},
		Options: []byte(`{"environment_credentials":true}`),
	})
	w.must(err)
	const body = `{"cloud_type":"UCloud","data_center":"here","bucket_name":"src","file_name":"a","page_size":1`
	w.s3.Put("src", "a", []byte("1"))
	const at = "/v2/p1/objectstorage/buckets"
	w.want(w.viewer, "POST", at+"/objects", body+`}`, 400, "OMS.0151", nil)
	w.want(w.viewer, "POST", at+"/prefix", body+`}`, 400, "OMS.0151", nil)
	w.want(w.viewer, "POST", at+"/regions", body+`}`, 400, "OMS.0155", nil)
	w.want(w.viewer, "POST", at+"/objects", body+`,"ak":"STOREKEY","sk":"storesecret"}`, 200, "", nil)
}

// Nothing of another project is ever visible.
func TestProjectsAreIsolated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	p2 := strings.Replace(path, "/p1/", "/p2/", 1)
	for _, c := range []struct{ method, path, body string }{
		{"GET", p2 + "?query_time=1", ""},
		{"POST", p2 + "/start", keysBody},
		{"POST", p2 + "/stop", ""},
		{"DELETE", p2, ""},
		{"POST", p2 + "/events", objectKeys("a")},
		{"GET", p2 + "/statistics?data_type=SIZE&start_time=1&end_time=2", ""},
	} {
		w.want(w.stranger, c.method, c.path, c.body, 404, "OMS.1009", nil)
		w.want(w.stranger, c.method, strings.Replace(c.path, "/p2/", "/p1/", 1), c.body, 403, "OMS.0072", nil)
	}
	var list struct{ Count int }
	w.want(w.stranger, "GET", "/v2/p2/sync-tasks", "", 200, "", &list)
	if list.Count != 0 {
		t.Fatal("a task of another project is counted")
	}
	var regions []any
	w.want(w.stranger, "GET", "/v2/p2/objectstorage/data-center", "", 200, "", &regions)
	if len(regions) != 0 {
		t.Fatalf("regions of another project: %v", regions)
	}
	req := w.request(w.stranger, "GET", "/v2/p2/sync-tasks", "")
	req.Header.Set("X-Project-Id", "p1")
	signRequest(req, w.stranger, "x-sdk-date", "", time.Now())
	if a := w.send(req); a.status != 403 {
		t.Fatalf("X-Project-Id that differs: %d", a.status)
	}
}

func TestRolesOfKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	for _, c := range []struct {
		method, path, body string
		may                []key
	}{
		{"POST", path + "/events", objectKeys("a"), []key{w.sender, w.operator, w.admin}},
		{"GET", p1, "", []key{w.viewer, w.operator, w.admin}},
		{"GET", path + "?query_time=1", "", []key{w.viewer, w.operator, w.admin}},
		{"GET", path + "/statistics?data_type=SIZE&start_time=1&end_time=2", "", []key{w.viewer, w.operator, w.admin}},
		{"GET", "/v2/p1/objectstorage/cloud-type?type=src", "", []key{w.viewer, w.operator, w.admin}},
		{"GET", "/v2/p1/objectstorage/data-center", "", []key{w.viewer, w.operator, w.admin}},
		{"POST", "/v2/p1/objectstorage/buckets/regions", `{"cloud_type":"AWS","bucket_name":"src","ak":"STOREKEY","sk":"storesecret"}`, []key{w.viewer, w.operator, w.admin}},
		{"POST", "/v2/p1/privacy-agreements", "", []key{w.viewer, w.operator, w.admin}},
		{"GET", "/v3/projects?name=cn-north-4", "", []key{w.sender, w.viewer, w.operator, w.admin}},
	} {
		for _, k := range []key{w.sender, w.viewer, w.operator, w.admin} {
			a := w.do(k, c.method, c.path, c.body)
			may := false
			for _, m := range c.may {
				may = may || m == k
			}
			if may && a.status != 200 || !may && (a.status != 403 || a.code() != "OMS.0072") {
				t.Errorf("%s %s by %s: %d %s", c.method, c.path, k.id, a.status, a.body)
			}
		}
	}
	w.want(w.sender, "POST", "/v2/p1/objectstorage/buckets/cdn-info", `{"cloud_type":"AWS"}`, 403, "OMS.0072", nil)
	for _, k := range []key{w.sender, w.viewer} {
		w.want(k, "POST", p1, create("dst2"), 403, "OMS.0072", nil)
		w.want(k, "POST", path+"/stop", "", 403, "OMS.0072", nil)
		w.want(k, "POST", path+"/start", keysBody, 403, "OMS.0072", nil)
		w.want(k, "DELETE", path, "", 403, "OMS.0072", nil)
	}
}

// Of creates at the same moment as many are done as there is room for.
func TestTaskLimitHoldsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *config.OMS) { o.MaxTasks = 1 })
	var group sync.WaitGroup
	var made, refused atomic.Int64
	for _, bucket := range []string{"dst", "dst2", "dst3"} {
		group.Go(func() {
			switch a := w.do(w.operator, "POST", p1, create(bucket)); {
			case a.status == 200:
				made.Add(1)
			case a.code() == "OMS.0077":
				refused.Add(1)
			}
		})
	}
	group.Wait()
	if made.Load() != 1 || refused.Load() != 2 {
		t.Errorf("%d made, %d refused", made.Load(), refused.Load())
	}
}

// The newest task comes first; offset counts tasks.
func TestListsAreNewestFirstByRecordNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.newTask("dst"), w.newTask("dst2")
	w.want(w.operator, "POST", a+"/stop", "", 200, "", nil)
	type page struct {
		Tasks []struct {
			ID     string `json:"sync_task_id"`
			Status string
		}
		Count int
	}
	ids := func(p page) string {
		out := fmt.Sprint(p.Count)
		for _, k := range p.Tasks {
			out += " " + k.ID
		}
		return out
	}
	a, b = a[len(p1)+1:], b[len(p1)+1:]
	for query, want := range map[string]string{
		"":                         "2 " + b + " " + a,
		"?limit=1":                 "2 " + b,
		"?limit=1&offset=1":        "2 " + a,
		"?offset=2":                "2",
		"?status=STOPPED":          "1 " + a,
		"?status=SYNCHRONIZING":    "1 " + b,
		"?status=":                 "2 " + b + " " + a,
		"?limit=100&offset=10000":  "2",
		"?status=STOPPED&offset=1": "1",
	} {
		var p page
		w.want(w.viewer, "GET", p1+query, "", 200, "", &p)
		if ids(p) != want {
			t.Errorf("%s: %s, want %s", query, ids(p), want)
		}
	}
	raw := w.do(w.viewer, "GET", p1, "").body
	for _, s := range []string{"STOREKEY", "storesecret", "sealed"} {
		if strings.Contains(string(raw), s) {
			t.Errorf("%s in %s", s, raw)
		}
	}
	if !json.Valid(raw) {
		t.Error(string(raw))
	}
}

// A token has the role of its key, and no signature is needed with it.
func TestTokensInPlaceOfSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	token, _, err := w.s.Control().IssueToken(t.Context(), w.s.Admin(), task.KeyID(w.sender.id), time.Minute)
	w.must(err)
	ask := func(token, method, path, body string) answer {
		req := w.request(key{}, method, path, body)
		req.Header.Set("X-Auth-Token", token)
		return w.send(req)
	}
	if a := ask(token, "POST", path+"/events", objectKeys("a")); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := ask(token, "GET", p1, ""); a.status != 403 {
		t.Fatalf("an event-only token lists: %d", a.status)
	}
	if a := ask(token, "POST", strings.Replace(path, "/p1/", "/p2/", 1)+"/events", objectKeys("a")); a.status != 403 {
		t.Fatalf("a token of another project: %d", a.status)
	}
	for _, bad := range []string{token[:len(token)-2], token + "x", "x"} {
		if a := ask(bad, "POST", path+"/events", objectKeys("a")); a.status != 401 || a.code() != "APIGW.0301" {
			t.Fatalf("%q: %d %s", bad, a.status, a.body)
		}
	}
}

// The lists of a task are written although it was deleted right after it was stopped, as
// Terraform does.
func TestListsOfATaskDeletedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s3.Put("src", "a", []byte("1"))
	path := w.newTask("dst")
	w.want(w.sender, "POST", path+"/events", objectKeys("a", "gone"), 200, "", nil)
	w.settled(path, 2)
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	w.want(w.operator, "DELETE", path, "", 200, "", nil)
	place := "oms/sync_task/" + path[len(p1)+1:] + "/"
	at := task.Location{Endpoint: "obs", Bucket: "dst"}
	pair := control.Credentials{AccessKey: "STOREKEY", SecretKey: secret.New("storesecret")}
	for range 300 {
		page, err := w.s.Control().ListObjects(t.Context(), w.s.Admin(), at, pair, control.Listing{Prefix: place, Delimiter: "/", Limit: 10})
		w.must(err)
		var names []string
		for _, n := range page.Names {
			names = append(names, strings.TrimPrefix(n.Key, place))
		}
		if len(names) == 4 { // the batch's manifest comes last
			if names[0] != "failed_object_lists/" || names[1] != "object_lists/" || names[3] != "success_object_lists/" {
				t.Fatal(names)
			}
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("no lists\n%s", w.log)
}

// Where an admin allows the host a client may name a store by its address, in place of a
// region or beside it; the pair it brings is used there and kept for nothing else.
func TestStoresByAddress(t *testing.T) {
	t.Parallel()
	var host string
	w := newWorld(t, func(o *config.OMS) { o.AllowHosts = []string{"127.0.0.1"} })
	host = w.s3.URL
	w.s3.Put("src", "a", []byte("1"))
	for bucket, more := range map[string][]string{
		"dst":  {"src_region", "us-east-1@" + host + "?path=1", "src_cloud_type", "AWS"},
		"dst2": {"src_endpoint", host, "src_region", ""},
		"dst3": {"src_endpoint", host + "?path=1&" + strings.Repeat("x", 100), "src_region", ""}, // longer than a region may be
	} {
		var out struct {
			ID string `json:"sync_task_id"`
		}
		w.want(w.operator, "POST", p1, create(bucket, more...), 200, "", &out)
		path := p1 + "/" + out.ID
		w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
		if m := w.settled(path, 1); m.Success != 1 {
			t.Fatalf("%s: %+v", bucket, m)
		}
		k, err := w.s.Control().Task(t.Context(), w.s.Admin(), out.ID)
		w.must(err)
		e, err := w.s.Control().Endpoint(t.Context(), w.s.Admin(), k.Source.Endpoint)
		w.must(err)
		if e.URL != host || !strings.HasPrefix(string(e.ID), "oms-") || len(e.Sealed) != 0 || len(k.Sealed) == 0 {
			t.Fatalf("endpoint %+v", e)
		}
	}
	for _, bad := range []string{"http://127.0.0.1.evil.com", "http://u:p@127.0.0.1", "ftp://127.0.0.1", "http://127.0.0.1/path", "http://localhost", "file:///etc"} {
		w.want(w.operator, "POST", p1, create("dst3", "src_region", bad), 400, "OMS.0079", nil)
	}
	w.want(w.operator, "POST", p1, create("dst3", "dst_region", "http://localhost"), 400, "OMS.0080", nil)
}

// A store that a client named by its address is registered for as long as a task is at it,
// or a request in flight asks it: of creates at once, some of which are refused, those that
// are in order are done.
func TestStoresByAddressAreNotLeftBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *config.OMS) { o.AllowHosts = []string{"127.0.0.1", "localhost"} })
	named := func() (n int) {
		all, err := w.s.Control().Endpoints(t.Context(), w.s.Admin())
		w.must(err)
		for _, e := range all {
			if strings.HasPrefix(string(e.ID), "oms-") {
				n++
			}
		}
		return n
	}
	host := w.s3.URL
	for _, c := range []struct{ code, body string }{
		{"OMS.0057", create("dst", "src_endpoint", host, "src_bucket", `"no-such-bucket"`)},
		{"OMS.0057", create("dst", "src_endpoint", host, "src_sk", `"wrong"`)},
		{"OMS.0057", create("dst", "src_endpoint", "http://127.0.0.1:1")},
		{"OMS.0058", create("no-such-bucket", "src_endpoint", host)},
		{"OMS.0058", create("no-such-bucket", "src_endpoint", host, "dst_endpoint", strings.Replace(host, "127.0.0.1", "localhost", 1))},
		{"OMS.0080", create("dst", "src_endpoint", host, "dst_region", `"eu-none-1"`)},
		{"OMS.0058", create("src", "src_endpoint", host, "dst_endpoint", host)}, // refused with the task itself
	} {
		w.want(w.operator, "POST", p1, c.body, 400, c.code, nil)
		if n := named(); n != 0 {
			t.Errorf("%d stores stay registered after %s", n, c.body)
		}
	}
	const question = `{"cloud_type":"AWS","data_center":"%s","bucket_name":"src","page_size":10,"ak":"STOREKEY","sk":"storesecret"}`
	w.want(w.operator, "POST", "/v2/p1/objectstorage/buckets/objects", fmt.Sprintf(question, host), 200, "", nil)
	if n := named(); n != 0 {
		t.Errorf("%d stores stay registered after a question", n)
	}
	var group sync.WaitGroup
	for i, bucket := range []string{"dst", "none", "dst2", "none", "dst3", "none"} {
		group.Go(func() {
			if a := w.do(w.operator, "POST", p1, create(bucket, "src_endpoint", host)); (a.status == 200) != (i%2 == 0) {
				t.Errorf("%s: %d %s", bucket, a.status, a.body)
			}
		})
	}
	group.Wait()
	if n := named(); n != 1 {
		t.Errorf("%d stores are registered for three tasks, want 1", n)
	}
	w.want(w.operator, "POST", p1, create("none", "src_endpoint", host), 400, "OMS.0058", nil)
	if n := named(); n != 1 {
		t.Errorf("a refused create takes the store of tasks away: %d are left", n)
	}
}
