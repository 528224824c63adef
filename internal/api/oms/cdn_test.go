package oms_test

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// domain is a CDN in front of the source bucket: an HTTP server with a log. With a key
// set it checks signatures as Alibaba Cloud's type B has them.
type domain struct {
	*httptest.Server
	w *world

	mu    sync.Mutex
	key   string
	cache map[string]string // what it serves in place of the bucket's objects
	log   []string
}

func newDomain(w *world) *domain {
	d := &domain{w: w, cache: map[string]string{}}
	d.Server = httptest.NewServer(http.HandlerFunc(d.serve))
	w.Cleanup(d.Close)
	return d
}

// host is the domain as clients name it.
func (d *domain) host() string { return strings.TrimPrefix(d.URL, "http://") }

// cdn is the source_cdn of a request.
func (d *domain) cdn(auth, key string) string {
	raw, err := json.Marshal(map[string]string{"domain": d.host(), "protocol": "http", "authentication_type": auth, "authentication_key": key})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (d *domain) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := r.URL.Path
	if d.key != "" {
		parts := strings.SplitN(path, "/", 4)
		if len(parts) != 4 || parts[2] != fmt.Sprintf("%x", md5.Sum([]byte(d.key+parts[1]+"/"+parts[3]))) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		path = "/" + parts[3]
	}
	data, ok := d.w.s3.Get("src", path[1:])
	if old, cached := d.cache[path[1:]]; cached {
		data, ok = []byte(old), true
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Header.Get("Range") == "" {
		d.log = append(d.log, path)
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, md5.Sum(data)))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// served are the keys of the objects that were read whole.
func (d *domain) served() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.log...)
}

func (d *domain) requireKey(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.key = key
}

func (d *domain) keep(key, data string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cache[key] = data
}

func allowLoopback(o *config.OMS) { o.AllowHosts = []string{"127.0.0.1"} }

// cdnExchanges is the recorded life of a task with a CDN, and what is refused of one.
func cdnExchanges(t *tape) {
	d := newDomain(t.world)
	t.s3.Put("src", "b/c", []byte("123"))
	const cdnKey = "abcdefabcdef12345678"
	info := func(cdn, more string) {
		t.play("viewer", "POST", "/v2/p1/objectstorage/buckets/cdn-info",
			`{"cloud_type":"AWS","region":"us-east-1","bucket":"src","ak":"STOREKEY","sk":"storesecret","source_cdn":`+cdn+more+`}`)
	}
	t.say("what the domain serves")
	info(d.cdn("NONE", ""), "")
	info(d.cdn("NONE", ""), `,"prefix":{"keys":["b/","a","no such object"]}`)
	t.say("one object is another there")
	d.keep("b/c", "321")
	info(d.cdn("NONE", ""), `,"prefix":{"keys":["b/c","a"]}`)
	d.keep("b/c", "123")
	t.say("it wants signatures")
	d.requireKey(cdnKey)
	info(d.cdn("NONE", ""), "")
	info(d.cdn("ALIYUN_OSS_B", ""), "")
	info(d.cdn("ALIYUN_OSS_B", cdnKey), "")
	d.requireKey("")

	t.say("a task; only lists tell its domain")
	path := t.id(t.play("operator", "POST", p1, create("dst", "source_cdn", d.cdn("NONE", ""))))
	t.play("viewer", "GET", p1, "")
	t.play("viewer", "GET", path+"?query_time=1", "")
	t.say("a task with a key")
	d.requireKey(cdnKey)
	t.play("operator", "POST", p1, create("dst2", "source_cdn", d.cdn("NONE", "")))
	t.play("operator", "POST", p1, create("dst2", "source_cdn", d.cdn("ALIYUN_OSS_B", "")))
	t.play("operator", "POST", p1, create("dst2", "source_cdn", d.cdn("ALIYUN_OSS_B", "wrong")))
	path = t.id(t.play("operator", "POST", p1, create("dst2", "source_cdn", d.cdn("ALIYUN_OSS_B", cdnKey))))
	t.play("viewer", "GET", p1+"?limit=1", "")
	t.say("the key is given anew")
	t.play("operator", "POST", path+"/stop", "")
	t.play("operator", "POST", path+"/start", keysBody)
	with := func(more string) string { return strings.TrimSuffix(keysBody, "}") + more + "}" }
	t.play("operator", "POST", path+"/start", with(`,"source_cdn_authentication_key":"wrong"`))
	t.play("operator", "POST", path+"/start", with(`,"source_cdn_authentication_key":"`+cdnKey+`","source_cdn_crypto_type":"KMS"`))
	t.play("operator", "POST", path+"/start", with(`,"source_cdn_authentication_key":"`+cdnKey+`"`))

	t.say("refused")
	for _, cdn := range []string{
		`{}`, `"x"`,
		`{"domain":"` + d.host() + `","protocol":"http"}`,
		`{"domain":"` + d.host() + `","protocol":"http","authentication_type":""}`,
		`{"domain":"cdn.example.com","protocol":"http","authentication_type":"NONE"}`,
		`{"domain":"` + d.host() + `/path","protocol":"http","authentication_type":"NONE"}`,
		`{"domain":"user@` + d.host() + `","protocol":"http","authentication_type":"NONE"}`,
		`{"domain":"` + d.host() + `","protocol":"ftp","authentication_type":"NONE"}`,
		`{"domain":"` + d.host() + `","protocol":"https","authentication_type":"NONE"}`,
		`{"domain":"127.0.0.1:1","protocol":"http","authentication_type":"NONE"}`,
		`{"domain":"` + d.host() + `","protocol":"http","authentication_type":"KSYUN_PRIVATE_AUTHENTICATION"}`,
		`{"domain":"` + d.host() + `","protocol":"http","authentication_type":"ALIYUN_OSS_Z","authentication_key":"k"}`,
		`{"domain":"` + d.host() + `","protocol":"http","authentication_type":"AZURE_SAS_TOKEN","authentication_key":"sp=r"}`,
		`{"domain":"` + d.host() + `","protocol":"http","authentication_type":"ALIYUN_OSS_A","authentication_key":"k","crypto_type":"KMS"}`,
	} {
		if a := t.play("operator", "POST", p1, create("dst3", "source_cdn", cdn)); a.status != 400 {
			t.Errorf("%s: %d", cdn, a.status)
		}
	}
	info(`null`, "")
	t.play("sender", "POST", "/v2/p1/objectstorage/buckets/cdn-info", `{"cloud_type":"AWS"}`)
}

func TestRecordedCDN(t *testing.T) {
	t.Parallel()
	recorded(t, "cdn", cdnExchanges, allowLoopback)
}

// A store that a client names by its address is asked about with the address too.
func TestCDNOfAStoreByAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, allowLoopback)
	d := newDomain(w)
	w.s3.Put("src", "a", []byte("1"))
	const at = "/v2/p1/objectstorage/buckets/cdn-info"
	body := func(cloud, region string) string {
		return `{"cloud_type":"` + cloud + `","region":"` + region + `","bucket":"src","ak":"STOREKEY","sk":"storesecret","source_cdn":` + d.cdn("NONE", "") + `}`
	}
	var out struct {
		Readable bool `json:"is_download_available"`
	}
	w.want(w.viewer, "POST", at, body("UCloud", "us-east-1"), 400, "OMS.1003", nil)
	w.want(w.operator, "POST", at, body("UCloud", w.s3.URL), 200, "", &out)
	if !out.Readable {
		t.Error("the domain is not found to serve the object")
	}
}

// The bytes come from the domain, all else from the bucket; the task shows its domain in
// the other dialects too.
func TestObjectsComeFromTheDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, allowLoopback)
	d := newDomain(w)
	big := strings.Repeat("0123456789abcdef", 40<<16) // 40 MiB: read in ranges where the destination takes parts
	for key, data := range map[string]string{"a": "12345", "b c/ä+%": "6", "empty": "", "big": big} {
		w.s3.Put("src", key, []byte(data))
	}
	var out struct {
		ID string `json:"sync_task_id"`
	}
	w.want(w.operator, "POST", p1, create("dst", "source_cdn", d.cdn("NONE", "")), 200, "", &out)
	path := p1 + "/" + out.ID
	w.want(w.sender, "POST", path+"/events", objectKeys("a", "b+c%2F%C3%A4%2B%25", "empty", "big", "gone"), 200, "", nil)
	if m := w.settled(path, 5); m.Success != 4 || m.Failure != 1 {
		t.Fatalf("%+v\n%s", m, w.log)
	}
	for key, data := range map[string]string{"a": "12345", "b c/ä+%": "6", "empty": "", "big": big} {
		if got, ok := w.s3.Get("dst", key); !ok || string(got) != data {
			t.Errorf("%q: %d bytes, %v", key, len(got), ok)
		}
	}
	served := strings.Join(d.served(), "\n")
	for _, key := range []string{"/a", "/b c/ä+%", "/empty"} {
		if !strings.Contains(served, key) {
			t.Errorf("the domain was not asked for %q: %q", key, served)
		}
	}
	if n := w.s3.Count("GetObject"); n != 0 {
		t.Errorf("%d objects were read from the bucket", n)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/tasks/"+out.ID, nil)
	w.must(err)
	req.SetBasicAuth(w.admin.id, w.admin.secret)
	var shown struct {
		Options task.Options `json:"options"`
	}
	w.must(json.Unmarshal(w.send(req).body, &shown))
	if shown.Options.SourceCDN != (task.CDN{Protocol: "http", Domain: d.host(), Authentication: task.NoAuthentication}) {
		t.Errorf("%+v", shown)
	}
}

// What the domain has of an earlier state is not passed off as the object: the key ends
// failed and says where it looked. When the domain has caught up, the next event succeeds.
func TestStaleDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, allowLoopback)
	d := newDomain(w)
	w.s3.Put("src", "a", []byte("new!"))
	var out struct {
		ID string `json:"sync_task_id"`
	}
	w.want(w.operator, "POST", p1, create("dst", "source_cdn", d.cdn("NONE", "")), 200, "", &out)
	path := p1 + "/" + out.ID
	d.keep("a", "old!")
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	if m := w.settled(path, 1); m.Failure != 1 {
		t.Fatalf("%+v", m)
	}
	if got, ok := w.s3.Get("dst", "a"); ok {
		t.Fatalf("the destination has %q", got)
	}
	fails, err := w.s.Control().Failures(t.Context(), w.s.Admin(), out.ID, history.FailureFilter{}, 0, 10)
	w.must(err)
	if len(fails) != 1 || fails[0].Reason != task.SourceChanging || fails[0].Code != "COMPARE_SRC_AND_CDN_FAILURE" || !strings.Contains(fails[0].Cause, d.host()) {
		t.Fatalf("%+v", fails)
	}
	d.keep("a", "new!")
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	if m := w.settled(path, 2); m.Success != 1 {
		t.Fatalf("%+v", m)
	}
}

// The key of a CDN is in no answer, log or file; another dialect cannot start the task
// without it.
func TestKeyOfACDNIsSecret(t *testing.T) {
	t.Parallel()
	var data string
	w := newWorld(t, allowLoopback)
	d := newDomain(w)
	const cdnKey = "cdnkey7Qd0f3aXz9LmP2"
	d.requireKey(cdnKey)
	w.s3.Put("src", "a", []byte("1"))
	var out struct {
		ID string `json:"sync_task_id"`
	}
	w.want(w.operator, "POST", p1, create("dst", "source_cdn", d.cdn("ALIYUN_OSS_B", cdnKey)), 200, "", &out)
	path := p1 + "/" + out.ID
	w.want(w.sender, "POST", path+"/events", objectKeys("a", "b"), 200, "", nil)
	if m := w.settled(path, 2); m.Success != 1 || m.Failure != 1 {
		t.Fatalf("%+v\n%s", m, w.log)
	}
	d.requireKey("rotated")
	w.s3.Put("src", "a", []byte("2"))
	w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
	if m := w.settled(path, 3); m.Failure != 2 { // DENIED is tried again, and ends failed
		t.Fatalf("%+v\n%s", m, w.log)
	}
	for _, at := range []string{p1, path + "?query_time=1", "/api/v1/tasks/" + out.ID, "/api/v1/tasks/" + out.ID + "/failures", "/api/v1/audit"} {
		req := w.request(w.admin, "GET", at, "")
		if strings.HasPrefix(at, "/api") {
			req.SetBasicAuth(w.admin.id, w.admin.secret)
		}
		a := w.send(req)
		data += string(a.body)
		if a.status != 200 {
			t.Errorf("%s: %d %s", at, a.status, a.body)
		}
	}
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	_, err := w.s.Control().StartTask(t.Context(), w.s.Admin(), out.ID)
	if task.KindOf(err) != task.Conflict || !strings.Contains(fmt.Sprint(err), "dropped") {
		t.Errorf("start without a key: %v", err)
	}
	w.stop()
	data += w.log.String()
	w.must(filepath.WalkDir(w.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(p)
		data += string(raw)
		return err
	}))
	if i := strings.Index(data, cdnKey); i >= 0 {
		t.Errorf("the key is told: %q", data[max(0, i-100):i])
	}
	if !strings.Contains(data, d.host()) {
		t.Error("nothing was searched")
	}
}

// Whoever may change a task does not lead it to a domain that the operator does not allow.
func TestOperatorAllowsDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, allowLoopback)
	d := newDomain(w)
	w.s3.Put("src", "a", []byte("1"))
	n := control.NewTask{Name: "native", Source: task.Location{Endpoint: "aws", Bucket: "src"}, Destination: task.Location{Endpoint: "obs", Bucket: "dst"}}
	for code, via := range map[string]task.CDN{
		control.CodeCDNHost: {Protocol: "http", Domain: "169.254.169.254"},
		control.CodeCDN:     {Protocol: "http", Domain: d.host(), Authentication: "SOME"},
		control.CodeCDNKey:  {Protocol: "http", Domain: d.host(), Authentication: task.AliyunA},
	} {
		n.Options.SourceCDN = via
		_, err := w.s.Control().CreateTask(t.Context(), w.s.Admin(), n)
		if e, ok := err.(*task.Error); !ok || e.Code != code { //nolint:errorlint // control's own
			t.Errorf("%+v: %v", via, err)
		}
	}
	n.Options.SourceCDN = task.CDN{Protocol: "http", Domain: d.host()}
	k, err := w.s.Control().CreateTask(t.Context(), w.s.Admin(), n)
	w.must(err)
	other := k.Options
	other.SourceCDN.Domain = "169.254.169.254"
	change := func() string {
		_, err := w.s.Control().ChangeTask(t.Context(), w.s.Admin(), string(k.ID), control.TaskChange{Options: &other})
		if e, ok := err.(*task.Error); ok { //nolint:errorlint // control's own
			return e.Code
		}
		return fmt.Sprint(err)
	}
	if code := change(); code != control.CodeRunning {
		t.Errorf("while it runs: %s", code)
	}
	_, err = w.s.Control().StopTask(t.Context(), w.s.Admin(), string(k.ID))
	w.must(err)
	if code := change(); code != control.CodeCDNHost {
		t.Errorf("another domain: %s", code)
	}
	other.SourceCDN = task.CDN{}
	if code := change(); code != "<nil>" {
		t.Errorf("none: %s", code)
	}
	for host, want := range map[string]int{d.host(): 201, "169.254.169.254": 400, "localhost": 400} {
		body := fmt.Sprintf(`{"name":"by http","source":{"endpoint":"aws","bucket":"src"},"destination":{"endpoint":"obs","bucket":"dst2"},"options":{"source_cdn":{"protocol":"http","domain":%q}}}`, host)
		req := w.request(w.operator, "POST", "/api/v1/tasks", body)
		req.SetBasicAuth(w.operator.id, w.operator.secret)
		if a := w.send(req); a.status != want || want == 400 && !strings.Contains(string(a.body), control.CodeCDNHost) {
			t.Errorf("%s through /api/v1: %d %s", host, a.status, a.body)
		}
	}
}
