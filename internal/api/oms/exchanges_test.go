package oms_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// update rewrites testdata/*.txtar: to be reviewed as the specification that they are.
var update = flag.Bool("update", false, "record the exchanges anew")

// tape records exchanges. What differs from run to run has a name in place of its value.
type tape struct {
	*world
	text  bytes.Buffer
	names map[string]string
	n     int
}

func (t *tape) say(format string, args ...any) { fmt.Fprintf(&t.text, "# "+format+"\n", args...) }

func (t *tape) play(role, method, path, body string) answer {
	t.Helper()
	k := map[string]key{"operator": t.operator, "viewer": t.viewer, "sender": t.sender, "admin": t.admin, "stranger": t.stranger, "nobody": {}}[role]
	return t.record(role, t.request(k, method, path, body), body)
}

// record sends a request and writes both sides down.
func (t *tape) record(role string, req *http.Request, body string) answer {
	t.Helper()
	a := t.send(req)
	t.n++
	fmt.Fprintf(&t.text, "-- %d request --\n%s %s by %s\n", t.n, req.Method, t.plain(strings.TrimPrefix(req.URL.String(), t.url)), role)
	if body != "" {
		fmt.Fprintf(&t.text, "\n%s\n", t.plain(body))
	}
	fmt.Fprintf(&t.text, "-- %d response --\n%d\n", t.n, a.status)
	for _, h := range []string{"Content-Type", "Content-Length", "Retry-After", "WWW-Authenticate"} {
		if v := a.header.Get(h); v != "" && (h != "Content-Length" || v == "0") {
			fmt.Fprintf(&t.text, "%s: %s\n", h, v)
		}
	}
	if len(a.body) > 0 {
		fmt.Fprintf(&t.text, "\n%s\n", t.plain(pretty(a.body)))
	}
	return a
}

func pretty(raw []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", " "); err != nil {
		return string(raw)
	}
	return b.String()
}

var (
	someID      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
	someRequest = regexp.MustCompile(`("request_id": ?)"[a-z0-9]{20}"`)
	someTime    = regexp.MustCompile(`\b1[78][0-9]{11}\b`)
	somePort    = regexp.MustCompile(`(127\.0\.0\.1|localhost):[0-9]+`)
	someName    = regexp.MustCompile(`20[0-9]{15}-[0-9a-f]{8}`)
	someKey     = regexp.MustCompile(`LS[A-Z2-7]{18}`)
)

func (t *tape) plain(s string) string {
	s = someID.ReplaceAllStringFunc(s, func(id string) string {
		if t.names[id] == "" {
			t.names[id] = fmt.Sprintf("TASK-%d", len(t.names)+1)
		}
		return t.names[id]
	})
	s = someRequest.ReplaceAllString(s, `$1"REQUEST"`)
	s = someName.ReplaceAllString(s, "STAMP")
	s = someTime.ReplaceAllString(s, "TIME")
	s = someKey.ReplaceAllString(s, "KEY")
	return somePort.ReplaceAllString(s, "$1:PORT")
}

// recorded plays a scenario and compares the tape with the file of its name.
func recorded(t *testing.T, name string, play func(*tape), set ...func(*config.OMS)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		tp := newTape(newWorld(t, set...))
		tp.s3.Put("src", "a", []byte("12345"))
		play(tp)
		tp.compare(name)
	})
}

func newTape(w *world) *tape {
	return &tape{world: w, names: map[string]string{"ffffffff-ffff-4fff-8fff-ffffffffffff": "NO-TASK"}}
}

// compare compares the tape with the file of its name.
func (t *tape) compare(name string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txtar")
	if *update {
		t.must(os.WriteFile(file, t.text.Bytes(), 0o600))
		return
	}
	want, err := os.ReadFile(file)
	t.must(err)
	if got := t.text.String(); got != string(want) {
		t.Errorf("%s differs (-update records anew):\n%s", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

const noTask = p1 + "/ffffffff-ffff-4fff-8fff-ffffffffffff"

func (t *tape) id(a answer) string {
	t.Helper()
	var out struct {
		ID string `json:"sync_task_id"`
	}
	t.must(json.Unmarshal(a.body, &out))
	return p1 + "/" + out.ID
}

func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	recorded(t, "life", life)
	recorded(t, "states", states)
	recorded(t, "copy-rules", copyRules)
	recorded(t, "create-refused", createRefused)
	recorded(t, "too-many-tasks", tooManyTasks, func(o *config.OMS) { o.MaxTasks = 1 })
	recorded(t, "events", eventsRefused)
	recorded(t, "events-path-100", eventsPath, func(o *config.OMS) { o.EventKeys, o.KeyForm = 100, "path" })
	recorded(t, "queries", queries)
	recorded(t, "authentication", authentication)
	recorded(t, "routes", routes)
	recorded(t, "helpers", helpers)
	recorded(t, "native-task", nativeTask)
	recorded(t, "too-much", tooMuch)
	recorded(t, "unsigned-payload", unsignedPayload, func(o *config.OMS) { o.UnsignedPayload = true })
}

func life(t *tape) {
	t.say("A task is made, takes an event, is shown, stopped, started, stopped and deleted.")
	path := t.id(t.play("operator", "POST", p1, create("dst", "description", `"nightly"`, "app_id", `"app"`, "enable_metadata_migration", "true",
		"dst_storage_policy", `"SRC_STORAGE_MAPPING"`, "consistency_check", `"transmission"`, "enable_kms", "false", "unknown_member", `{"a":1}`)))
	t.play("sender", "POST", path+"/events", objectKeys("a"))
	t.settled(path, 1)
	t.play("viewer", "GET", fmt.Sprintf("%s?query_time=%d", path, time.Now().UnixMilli()), "")
	t.say("another month")
	t.play("viewer", "GET", path+"?query_time=1577836800000", "")
	t.play("viewer", "GET", p1, "")
	t.play("operator", "POST", path+"/stop", "")
	t.play("operator", "POST", path+"/start", keysBody)
	t.play("operator", "POST", path+"/stop", "")
	t.play("operator", "DELETE", path, "")
	t.play("viewer", "GET", path+"?query_time=1", "")
}

func states(t *tape) {
	t.say("Every row of the table of states, for start, stop and delete; then for no task at all.")
	path := t.id(t.play("operator", "POST", p1, create("dst")))
	t.say("SYNCHRONIZING")
	t.play("operator", "POST", path+"/start", keysBody)
	t.play("operator", "DELETE", path, "")
	t.play("operator", "POST", path+"/stop", "")
	t.say("STOPPED")
	t.play("operator", "POST", path+"/stop", "")
	t.play("sender", "POST", path+"/events", objectKeys("a"))
	t.say("start without keys")
	t.play("operator", "POST", path+"/start", "")
	t.play("operator", "POST", path+"/start", `{"src_ak":"STOREKEY","src_sk":"storesecret","dst_ak":"STOREKEY","dst_sk":""}`)
	t.play("operator", "POST", path+"/start", keysBody)
	t.play("operator", "POST", path+"/stop", "")
	t.play("operator", "DELETE", path, "")
	t.say("no such task")
	for _, p := range []string{path, noTask, p1 + "/not-a-uuid"} {
		t.play("operator", "POST", p+"/start", keysBody)
		t.play("operator", "POST", p+"/stop", "")
		t.play("operator", "DELETE", p, "")
		t.play("sender", "POST", p+"/events", objectKeys("a"))
		t.play("viewer", "GET", p+"?query_time=1", "")
		t.play("viewer", "GET", p+"/statistics?data_type=SIZE&start_time=1&end_time=2", "")
	}
}

func copyRules(t *tape) {
	t.say("How copies are checked, archived objects restored and objects encrypted is answered as the task has it.")
	for _, c := range [][]string{
		{"consistency_check", `"crc64"`},
		{"consistency_check", `"size_last_modified"`, "enable_restore", "true"},
		{"consistency_check", `"transmission"`, "enable_kms", "true"},
	} {
		t.say("%s", strings.Join(c, " "))
		path := t.id(t.play("operator", "POST", p1, create("dst", c...)))
		t.play("viewer", "GET", path+"?query_time=1577836800000", "")
		t.play("operator", "POST", path+"/stop", "")
		t.play("operator", "DELETE", path, "")
	}
}

func createRefused(t *tape) {
	t.say("Nothing here makes a task.")
	for _, c := range [][]string{
		{"src_region", `""`},
		{"dst_sk", `""`},
		{"src_bucket", `"` + strings.Repeat("b", 1025) + `"`},
		{"description", `"a<b"`},
		{"description", `"` + strings.Repeat("d", 256) + `"`},
		{"src_crypto_type", `"KMS"`},
		{"dst_storage_policy", `"WARM"`},
		{"consistency_check", `"no_check"`},
		{"object_overwrite_mode", `"SOMETIMES"`},
		{"enable_restore", "1"},
		{"enable_kms", `"aws:kms"`},
		{"source_cdn", `{"domain":"d","protocol":"http","authentication_type":"NONE"}`},
		{"src_region", `"eu-none-1"`},
		{"src_cloud_type", `"Mars"`},
		{"dst_region", `"eu-none-1"`},
		{"src_sk", `"wrong"`},
		{"dst_sk", `"wrong"`},
		{"src_bucket", `"no-such-bucket"`},
		{"dst_bucket", `"no-such-bucket"`},
		{"src_region", `"http://169.254.169.254"`},
		{"src_endpoint", `"http://169.254.169.254"`},
		{"enable_restore", `"yes"`},
		{"src_region", "1"},
		{"src_crypto_type", "1"},
		{"description", `"a\u0000b"`},
		{"src_bucket", `"src/folder"`},
		{"dst_bucket", `".."`},
		{"dst_bucket", `"src"`, "dst_region", `"us-east-1"`},
	} {
		t.say("%s", strings.Join(shorten(c), " "))
		a := t.play("operator", "POST", p1, create("dst", c...))
		if a.status != 400 {
			t.Errorf("%.100v: %d", c, a.status)
		}
	}
	t.say("no JSON")
	t.play("operator", "POST", p1, `{"src_region":`)
	t.play("operator", "POST", p1, `[]`)
	t.play("operator", "POST", p1, "")
	t.say("roles")
	t.play("viewer", "POST", p1, create("dst"))
	t.play("sender", "POST", p1, create("dst"))
	t.say("the destination of another task")
	t.play("operator", "POST", p1, create("dst"))
	t.play("operator", "POST", p1, create("dst"))
	t.say("Aliyun is the cloud of a request that names none, else the only one that has the region")
	t.play("operator", "POST", p1, create("dst2", "src_cloud_type", `""`, "src_region", `"cn-hangzhou"`))
	t.play("operator", "POST", p1, create("dst3", "src_cloud_type", `""`, "src_region", `"us-east-1"`))
	t.play("viewer", "GET", p1, "")
	t.say("a directory, of whose name none can be made for the task")
	disk, err := t.s.Control().Endpoint(t.Context(), t.s.Admin(), "disk")
	t.must(err)
	t.must(os.Mkdir(filepath.Join(strings.TrimPrefix(disk.URL, "file://"), " odd"), 0o700))
	t.play("operator", "POST", p1, create("dst", "src_cloud_type", `"S3"`, "src_region", `"disk"`, "src_bucket", `" odd"`))
}

func shorten(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s
		if len(s) > 60 {
			out[i] = s[:60] + "…"
		}
	}
	return out
}

func tooManyTasks(t *tape) {
	t.play("operator", "POST", p1, create("dst"))
	t.play("operator", "POST", p1, create("dst2"))
}

func eventsRefused(t *tape) {
	path := t.newTask("dst")
	t.say("The whole request is refused, and nothing accepted.")
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = fmt.Sprint("k", i)
	}
	for _, body := range []string{
		"", "{}", `{"object_keys":null}`, `{"object_keys":[]}`, `{"object_keys":["a",null]}`, `{"object_keys":["a",1]}`, `{"object_keys":"a"}`,
		objectKeys("a", ""), objectKeys("a", "%zz"), objectKeys("a", "%"), objectKeys("a", "%ff"), objectKeys(eleven...),
		`{"object_keys":["\ud800"]}`, "[", "{\"object_keys\":[\"\xff\"]}",
	} {
		if a := t.play("sender", "POST", path+"/events", body); a.status != 400 {
			t.Errorf("%q: %d", body, a.status)
		}
	}
	t.play("sender", "POST", path+"/events", objectKeys(strings.Repeat("k", 1025)))
	t.play("viewer", "POST", path+"/events", objectKeys("a"))
	t.play("viewer", "GET", fmt.Sprintf("%s?query_time=%d", path, time.Now().UnixMilli()), "")
	t.say("ten are taken, a duplicate counts twice, keys of our own lists not at all")
	t.play("sender", "POST", path+"/events", objectKeys(eleven[:10]...))
	t.play("sender", "POST", path+"/events", objectKeys("a", "a", strings.TrimPrefix(path, p1+"/"), "oms/sync_task/"+strings.TrimPrefix(path, p1+"/")+"/object_lists/x.txt"))
	t.settled(path, 13)
	t.play("viewer", "GET", fmt.Sprintf("%s?query_time=%d", path, time.Now().UnixMilli()), "")
}

func eventsPath(t *tape) {
	t.say("With --oms-keys path a plus is a plus; with --oms-event-keys 100 a request has a hundred keys.")
	t.s3.Put("src", "a+b", []byte("x"))
	path := t.newTask("dst")
	keys := []string{"a+b"}
	for i := range 99 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	a := t.do(t.sender, "POST", path+"/events", objectKeys(keys...))
	t.say("100 keys: %d", a.status)
	a = t.do(t.sender, "POST", path+"/events", objectKeys(append(keys, "x")...))
	t.say("101 keys: %d %s", a.status, a.code())
	t.settled(path, 100)
	t.play("viewer", "GET", fmt.Sprintf("%s?query_time=%d", path, time.Now().UnixMilli()), "")
}

func queries(t *tape) {
	path := t.newTask("dst")
	for _, q := range []string{"?limit=0", "?limit=101", "?limit=x", "?limit=-1", "?offset=10001", "?offset=1.0", "?status=RUNNING", "?status=%zz"} {
		if a := t.play("viewer", "GET", p1+q, ""); a.status != 400 && a.status != 401 {
			t.Errorf("%s: %d", q, a.status)
		}
	}
	for _, q := range []string{"", "?query_time=", "?query_time=x", "?query_time=-1", "?query_time=99999999999999999"} {
		if a := t.play("viewer", "GET", path+q, ""); a.status != 400 {
			t.Errorf("%s: %d", q, a.status)
		}
	}
	for _, q := range []string{
		"", "?data_type=SIZE", "?data_type=SIZE&start_time=1", "?data_type=SIZES&start_time=1&end_time=2", "?data_type=SIZE,&start_time=1&end_time=2",
		"?data_type=SIZE&start_time=2&end_time=1", "?data_type=SIZE&start_time=x&end_time=1", "?data_type=SIZE&start_time=0&end_time=3600000000",
	} {
		if a := t.play("viewer", "GET", path+"/statistics"+q, ""); q != "?data_type=SIZE&start_time=0&end_time=3600000000" && a.status != 400 {
			t.Errorf("%s: %d", q, a.status)
		}
	}
	t.say("one interval of an hour too many")
	t.play("viewer", "GET", path+"/statistics?data_type=SIZE&start_time=0&end_time=3600000001", "")
	t.say("a day is asked in intervals of five minutes, more in hours; there is an entry for each type without data")
	t.play("viewer", "GET", path+"/statistics?data_type=REQUEST,SKIP&start_time=0&end_time=86400000", "")
	t.play("viewer", "GET", path+"/statistics?data_type=REQUEST&start_time=0&end_time=86400001", "")
}

func authentication(t *tape) {
	t.say("Nobody gets in.")
	send := func(what string, change func(*http.Request)) {
		t.say("%s", what)
		req := t.request(t.viewer, "GET", p1, "")
		change(req)
		if a := t.record("viewer", req, ""); a.status != 401 {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	t.play("nobody", "GET", p1, "")
	send("wrong secret", func(r *http.Request) {
		signRequest(r, key{"p1", t.viewer.id, "wrong"}, "x-sdk-date", "", time.Now())
	})
	send("unknown key", func(r *http.Request) {
		signRequest(r, key{"p1", "STRANGER", t.viewer.secret}, "x-sdk-date", "", time.Now())
	})
	send("an hour late", func(r *http.Request) { signRequest(r, t.viewer, "x-sdk-date", "", time.Now().Add(-time.Hour)) })
	send("another body", func(r *http.Request) { signRequest(r, t.viewer, "x-sdk-date", "{}", time.Now()) })
	send("date not signed", func(r *http.Request) { signRequest(r, t.viewer, "user-agent", "", time.Now()) })
	send("User-Agent rewritten", func(r *http.Request) { r.Header.Set("User-Agent", "proxy") })
	send("X-Sdk-Content-Sha256 not signed", func(r *http.Request) {
		r.Header.Set("X-Sdk-Content-Sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	})
	send("a body that is not signed", func(r *http.Request) { signUnsigned(r, t.viewer) })
	send("derived algorithm", func(r *http.Request) {
		r.Header.Set("Authorization", "V11-HMAC-SHA256 Credential=AK/20260101/r/oms, SignedHeaders=x-sdk-date, Signature="+strings.Repeat("0", 64))
	})
	send("Basic", func(r *http.Request) { r.SetBasicAuth(t.viewer.id, t.viewer.secret) })
	send("token", func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("X-Auth-Token", "nonsense") })
	t.say("another project's path, and another project in X-Project-Id")
	t.play("stranger", "GET", p1, "")
	req := t.request(key{"p2", t.viewer.id, t.viewer.secret}, "GET", p1, "")
	t.record("viewer", req, "")
	t.say("an expired key")
	k, s, err := t.s.Control().CreateKey(t.Context(), t.s.Admin(), control.NewKey{Role: task.Viewer, ExpiresAt: time.Now().Add(50 * time.Millisecond)})
	t.must(err)
	for time.Now().Before(k.ExpiresAt) {
		<-time.After(10 * time.Millisecond)
	}
	t.record("viewer", t.request(key{"p1", string(k.ID), s.Reveal()}, "GET", p1, ""), "")
	t.say("the project of a key, under the name of any region")
	for _, role := range []string{"sender", "stranger", "nobody"} {
		a := t.play(role, "GET", "/v3/projects?name=cn-north-4", "")
		if id := a.header.Get("X-IAM-Trace-Id"); id == "" || id != a.header.Get("X-Request-Id") {
			t.Errorf("%s: trace id %q", role, id)
		}
	}
}

// signUnsigned signs a request without its body, and says so.
func signUnsigned(r *http.Request, k key) {
	r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
	signHash(r, k, "x-sdk-content-sha256;x-sdk-date", "UNSIGNED-PAYLOAD", time.Now())
}

func unsignedPayload(t *tape) {
	t.say("With --oms-unsigned-payload a client may leave the body out of what it signs.")
	path := t.newTask("dst")
	body := objectKeys("a")
	req := t.request(t.sender, "POST", path+"/events", body)
	signUnsigned(req, t.sender)
	t.record("sender", req, body)
	t.say("the signature must still be right")
	req = t.request(t.sender, "POST", path+"/events", body)
	signUnsigned(req, key{"p1", t.sender.id, "wrong"})
	t.record("sender", req, body)
	t.say("and say that it leaves the body out")
	req = t.request(t.sender, "POST", path+"/events", body)
	signRequest(req, t.sender, "x-sdk-date", "another body", time.Now())
	t.record("sender", req, body)
	req = t.request(t.sender, "POST", path+"/events", body)
	signHash(req, t.sender, "x-sdk-date", "UNSIGNED-PAYLOAD", time.Now())
	req.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
	t.record("sender", req, body)
}

func routes(t *tape) {
	for _, c := range []struct{ method, path string }{
		{"GET", "/"},
		{"GET", "/v2"},
		{"GET", "/v1"},
		{"GET", "/v9"},
		{"POST", "/v2"},
		{"GET", "/v2/p1/unknown"},
		{"POST", "/v2/p1/sync-tasks/a%2Fb/events"},
		{"GET", "/v2/%7Bproject_id%7D/sync-tasks"},
		{"PUT", "/v2/p1/sync-tasks"},
		{"PUT", noTask + "/start"},
		{"GET", noTask + "/events"},
		{"GET", "/v2/p1/tasks"},
		{"POST", "/v2/p1/tasks"},
		{"POST", "/v2/p1/tasks/batch-update"},
		{"PUT", "/v2/p1/taskgroups/1/start"},
		{"POST", "/v2/p1/objectstorage/buckets/url-source-list-file"},
		{"GET", "/v3/auth/tokens"},
	} {
		t.play("operator", c.method, c.path, "")
	}
}

func helpers(t *tape) {
	t.say("Regions and clouds come from the registry.")
	t.play("viewer", "GET", "/v2/p1/objectstorage/cloud-type?type=src", "")
	t.play("viewer", "GET", "/v2/p1/objectstorage/cloud-type?type=dst", "")
	t.play("viewer", "GET", "/v2/p1/objectstorage/cloud-type", "")
	t.play("viewer", "GET", "/v2/p1/objectstorage/cloud-type?type=both", "")
	t.play("viewer", "GET", "/v2/p1/objectstorage/data-center", "")
	t.s3.Put("src", "d/one", []byte("1"))
	t.s3.Put("src", "d/e/two", []byte("22"))
	t.s3.Put("src", "z", []byte("333"))
	at := "/v2/p1/objectstorage/buckets"
	const keys = `"ak":"STOREKEY","sk":"storesecret"`
	t.say("a folder of a bucket, page by page")
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","file_path":"","page_size":2,"behind_filename":"",`+keys+`}`)
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","file_path":"","page_size":2,"behind_filename":"d/",`+keys+`}`)
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","file_path":"d/","page_size":10,"behind_filename":"",`+keys+`}`)
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"none","file_path":"","page_size":10,`+keys+`}`)
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"nowhere","bucket_name":"src","page_size":10,`+keys+`}`)
	t.play("viewer", "POST", at+"/objects", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","page_size":1001,`+keys+`}`)
	t.say("regions of buckets")
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"AWS","bucket_name":"src",`+keys+`}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"HuaweiCloud","bucket_name":"dst",`+keys+`}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"HuaweiCloud","bucket_name":"dst","ak":"other","sk":"pair"}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"AWS","bucket_name":"none",`+keys+`}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"Mars","bucket_name":"none",`+keys+`}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"AWS",`+keys+`}`)
	t.play("viewer", "POST", at+"/regions", `{"cloud_type":"AWS","bucket_name":"src/d",`+keys+`}`)
	t.say("a prefix")
	t.play("viewer", "POST", at+"/prefix", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","file_name":"d/",`+keys+`}`)
	t.play("viewer", "POST", at+"/prefix", `{"cloud_type":"AWS","data_center":"us-east-1","bucket_name":"src","file_name":"x/",`+keys+`}`)
	t.say("buckets")
	t.play("viewer", "POST", at, `{"cloud_type":"AWS",`+keys+`}`)
	t.play("viewer", "POST", at, `{"cloud_type":"HuaweiCloud",`+keys+`}`)
	t.play("viewer", "POST", at, `{"cloud_type":"Mars",`+keys+`}`)
	t.play("viewer", "POST", at, `{"cloud_type":"AWS","ak":"STOREKEY","sk":"wrong"}`)
	t.play("viewer", "POST", at+"/cdn-info", `{"cloud_type":"AWS","region":"us-east-1","bucket":"src","source_cdn":{"domain":"d","protocol":"http","authentication_type":"NONE"},`+keys+`}`)
	t.say("privacy")
	t.play("operator", "POST", "/v2/p1/privacy-agreements", "")
	t.play("sender", "POST", "/v2/p1/privacy-agreements", "")
}

func nativeTask(t *tape) {
	t.say("A task of another dialect has the names of its endpoints where nothing else is known.")
	_, err := t.s.Control().CreateTask(t.Context(), t.s.Admin(), control.NewTask{
		Name: "mine", Description: "by hand", Source: task.Location{Endpoint: "aws", Bucket: "src", Prefix: "x/"},
		Destination: task.Location{Endpoint: "disk", Bucket: "here"}, Options: task.Options{Compare: "always"},
	})
	t.must(err)
	t.play("viewer", "GET", p1, "")
	t.say("A task of this dialect that another has moved has the names of where it is now.")
	path := t.newTask("dst")
	id := strings.TrimPrefix(path, p1+"/")
	_, err = t.s.Control().StopTask(t.Context(), t.s.Admin(), id)
	t.must(err)
	_, err = t.s.Control().ChangeTask(t.Context(), t.s.Admin(), id, control.TaskChange{
		Source: &task.Location{Endpoint: "obs", Bucket: "src"}, Destination: &task.Location{Endpoint: "disk", Bucket: "there"},
	})
	t.must(err)
	t.play("viewer", "GET", p1+"?limit=1", "")
}

func tooMuch(t *tape) {
	path := t.newTask("dst")
	big := objectKeys(strings.Repeat("k", 3<<20))
	t.say("a body of 3 MiB")
	t.record("sender", t.request(t.sender, "POST", path+"/events", big), "")
	t.say("signatures that are wrong, until there are too many of them")
	wrong := key{"p1", t.viewer.id, "wrong"}
	for {
		n, size := t.n, t.text.Len()
		a := t.record("viewer", t.request(wrong, "GET", p1, ""), "")
		if a.status == http.StatusTooManyRequests {
			break
		}
		if a.status != http.StatusUnauthorized {
			t.Fatal(a.status)
		}
		t.n = n
		t.text.Truncate(size)
	}
	t.say("others from the same address go on")
	t.play("viewer", "GET", p1+"?limit=1&offset=1", "")
}
