package oms_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// world is a whole service in process, with an S3 server behind it and keys of all roles.
type world struct {
	testing.TB
	url  string
	s    *app.Service
	s3   *s3fault.Server
	log  *lockedBuffer
	dir  string // of its data
	stop func()

	admin, operator, viewer, sender key // of project "p1"
	stranger                        key // admin of project "p2"
}

// key signs requests.
type key struct{ project, id, secret string }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newWorld(tb testing.TB, set ...func(*config.OMS)) *world {
	tb.Helper()
	w := &world{TB: tb, log: &lockedBuffer{}, dir: tb.TempDir(), s3: s3fault.New(tb, s3fault.Options{Buckets: []string{"src", "dst", "dst2", "dst3"}, AccessKey: "STOREKEY", SecretKey: "storesecret"})}
	cfg := app.ServeConfig{
		Serve:   config.Serve{Data: w.dir, Listen: "127.0.0.1:0", Project: "p1", AccessKey: "ADMINKEY", SecretKey: secret.New("admin secret")},
		Log:     slog.New(slog.NewTextHandler(w.log, nil)),
		Version: "test",
	}
	for _, f := range set {
		f(&cfg.OMS)
	}
	w.must(cfg.Check())
	s, err := app.NewService(tb.Context(), cfg)
	w.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(w.stop)
	w.s, w.url = s, s.URL()
	w.admin = key{"p1", "ADMINKEY", "admin secret"}
	for role, k := range map[task.Role]*key{task.Operator: &w.operator, task.Viewer: &w.viewer, task.EventOnly: &w.sender} {
		made, given, err := s.Control().CreateKey(tb.Context(), s.Admin(), control.NewKey{Role: role})
		w.must(err)
		*k = key{"p1", string(made.ID), given.Reveal()}
	}
	made, given, _, err := s.Control().EnsureKey(tb.Context(), "p2", "", secret.String{})
	w.must(err)
	w.stranger = key{"p2", string(made.ID), given.Reveal()}
	w.endpoints()
	return w
}

// endpoints registers the S3 server twice: as a cloud without credentials, and as OMS's
// own with them; and a directory.
func (w *world) endpoints() {
	w.Helper()
	bare := w.s3.URL
	for _, e := range []control.NewEndpoint{
		{ID: "aws", Provider: "generic", URL: bare, Aliases: []string{"AWS/us-east-1", "Aliyun/cn-hangzhou"}},
		{
			ID: "obs", Provider: "generic", URL: strings.Replace(bare, "127.0.0.1", "localhost", 1), Aliases: []string{"HEC/cn-north-4"},
			Credentials: control.Credentials{AccessKey: "STOREKEY", SecretKey: secret.New("storesecret")},
		},
		{ID: "disk", Provider: "file", URL: "file://" + w.TempDir(), Aliases: []string{"S3/disk"}},
	} {
		_, err := w.s.Control().CreateEndpoint(w.Context(), w.s.Admin(), e)
		w.must(err)
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// httpClient follows no redirect: none may ever be answered.
var httpClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
	return errors.New("redirected")
}, Transport: &http.Transport{MaxIdleConnsPerHost: 128}}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code is the error's; "" for a success.
func (a answer) code() string {
	var e struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Code
}

// do signs as the official Go client does and sends.
func (w *world) do(k key, method, path, body string) answer {
	w.Helper()
	return w.send(w.request(k, method, path, body))
}

func (w *world) request(k key, method, path, body string) *http.Request {
	w.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, in)
	w.must(err)
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	req.Header.Set("User-Agent", "huaweicloud-usdk-go/3.0")
	signed := "user-agent;x-sdk-date"
	if k.project != "" {
		req.Header.Set("X-Project-Id", k.project)
		signed = "user-agent;x-project-id;x-sdk-date"
	}
	if k.id != "" {
		signRequest(req, k, signed, body, time.Now())
	}
	return req
}

func (w *world) send(req *http.Request) answer {
	w.Helper()
	resp, err := httpClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.StatusCode/100 == 3 {
		w.Fatalf("%s %s: %d", req.Method, req.URL, resp.StatusCode)
	}
	if resp.Header.Get("X-Request-Id") == "" {
		w.Fatalf("%s %s: no request id", req.Method, req.URL)
	}
	return answer{resp.StatusCode, resp.Header, raw}
}

// signRequest is SDK-HMAC-SHA256 written a second time, from the recipe, so that the
// service is not its own judge.
func signRequest(req *http.Request, k key, signed, body string, at time.Time) {
	sum := sha256.Sum256([]byte(body))
	signHash(req, k, signed, hex.EncodeToString(sum[:]), at)
}

// signHash signs what is to stand for the hash of the body.
func signHash(req *http.Request, k key, signed, hash string, at time.Time) {
	stamp := at.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Sdk-Date", stamp)
	var uri strings.Builder
	for i, s := range strings.Split(req.URL.Path, "/") {
		if i > 0 {
			uri.WriteByte('/')
		}
		uri.WriteString(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"))
	}
	if !strings.HasSuffix(uri.String(), "/") {
		uri.WriteByte('/')
	}
	var pairs []string
	for name, values := range req.URL.Query() {
		for _, v := range values {
			pairs = append(pairs, strings.ReplaceAll(url.QueryEscape(name)+"="+url.QueryEscape(v), "+", "%20"))
		}
	}
	slices.Sort(pairs)
	headers := ""
	for name := range strings.SplitSeq(signed, ";") {
		value := req.Header.Get(name)
		if name == "host" {
			value = req.URL.Host
		}
		headers += name + ":" + strings.TrimSpace(value) + "\n"
	}
	canonical := strings.Join([]string{req.Method, uri.String(), strings.Join(pairs, "&"), headers, signed, hash}, "\n")
	whole := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(k.secret))
	_, _ = fmt.Fprintf(mac, "SDK-HMAC-SHA256\n%s\n%x", stamp, whole)
	req.Header.Set("Authorization", fmt.Sprintf("SDK-HMAC-SHA256 Access=%s, SignedHeaders=%s, Signature=%x", k.id, signed, mac.Sum(nil)))
}

// want makes a request, wants the status and code, and decodes into out unless it is nil.
func (w *world) want(k key, method, path, body string, status int, code string, out any) {
	w.Helper()
	a := w.do(k, method, path, body)
	if a.status != status || a.code() != code {
		w.Fatalf("%s %s %s: %d %s, want %d %s", method, path, body, a.status, a.body, status, code)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			w.Fatalf("%s %s: %v in %s", method, path, err, a.body)
		}
	}
}

const p1 = "/v2/p1/sync-tasks"

// create is the body of a task from src at AWS to a bucket at HEC.
func create(bucket string, more ...string) string {
	all := map[string]any{
		"src_cloud_type": "AWS", "src_region": "us-east-1", "src_bucket": "src", "src_ak": "STOREKEY", "src_sk": "storesecret",
		"dst_region": "cn-north-4", "dst_bucket": bucket, "dst_ak": "STOREKEY", "dst_sk": "storesecret",
	}
	for i := 0; i+1 < len(more); i += 2 {
		var v any
		if json.Unmarshal([]byte(more[i+1]), &v) != nil {
			v = more[i+1]
		}
		all[more[i]] = v
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

const keysBody = `{"src_ak":"STOREKEY","src_sk":"storesecret","dst_ak":"STOREKEY","dst_sk":"storesecret"}`

// newTask makes a task and returns its path.
func (w *world) newTask(bucket string) string {
	w.Helper()
	var out struct {
		ID string `json:"sync_task_id"`
	}
	w.want(w.operator, "POST", p1, create(bucket), 200, "", &out)
	return p1 + "/" + out.ID
}

// month is what ShowSyncTask says of this month.
type month struct {
	Requested int64  `json:"monthly_acceptance_request"`
	Success   int64  `json:"monthly_success_object"`
	Failure   int64  `json:"monthly_failure_object"`
	Skip      int64  `json:"monthly_skip_object"`
	Size      int64  `json:"monthly_size"`
	Status    string `json:"status"`
}

func (w *world) month(path string) (m month) {
	w.Helper()
	w.want(w.viewer, "GET", fmt.Sprintf("%s?query_time=%d", path, time.Now().UnixMilli()), "", 200, "", &m)
	return m
}

// settled waits until a task has nothing pending of n requests or more.
func (w *world) settled(path string, n int64) (m month) {
	w.Helper()
	for range 600 {
		if m = w.month(path); m.Requested >= n && m.Requested == m.Success+m.Failure+m.Skip {
			return m
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-w.Context().Done():
		}
	}
	w.Fatalf("%s: not settled: %+v", path, m)
	return m
}

func objectKeys(keys ...string) string {
	raw, err := json.Marshal(map[string][]string{"object_keys": keys})
	if err != nil {
		panic(err)
	}
	return string(raw)
}
