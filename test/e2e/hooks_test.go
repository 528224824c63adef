package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/notification"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

// recorder passes notifications on, to an address that is not known when the store starts,
// and keeps them.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	target *url.URL
	token  string
	header bool // the token goes into the header, where MinIO's auth_token is
	bodies []string
}

// minioToken is sent by MinIO, which must know it before there is a task; the recorder puts
// the task's own in its place.
const minioToken = "known-before-there-is-a-task"

func newRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.bodies = append(r.bodies, string(body))
		target, token, header := r.target, r.token, r.header
		r.mu.Unlock()
		if target == nil { // versitygw sends a test event as it starts
			return
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.URL.Path = "/hooks/s3"
		if header {
			if req.Header.Get("Authorization") != "Bearer "+minioToken {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
		} else {
			req.URL.Path += "/" + token
		}
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) pass(t *testing.T, s *service, token string) {
	t.Helper()
	target, err := url.Parse("http://" + s.address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target, r.token = target, token
}

// save writes what was sent to LOCKSTEP_RECORD, from where testdata of package hooks is made.
func (r *recorder) save(t *testing.T, name string) {
	dir := os.Getenv("LOCKSTEP_RECORD")
	if dir == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(r.bodies, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// oddNames are keys that a store must encode right to be understood.
var oddNames = []string{"plain.txt", "a b.txt", "a+b.txt", "100%41.txt", "dir/ü&=?#.txt", "%zz", "q\"uote"}

func s3Client(t *testing.T, srv s3server.Server) *minio.Client {
	t.Helper()
	u, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: srv.Region})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// notified is a running service with a task, with deletes, from below in/ of a bucket of srv
// to the directory dst. versitygw 1.8 takes bucket and key of an event from a buffer that
// the next request may have overwritten: nothing but the source may be on that server.
func notified(t *testing.T, srv s3server.Server) (s *service, c *minio.Client, dst, hook string) {
	t.Helper()
	for _, b := range []string{"src", "other"} {
		s3server.MakeBucket(t, srv, b)
	}
	s = newService(t)
	s.start()
	s.endpointOf("store", side{endpoint: srv.Endpoint, accessKey: srv.AccessKey, secretKey: srv.SecretKey})
	disk := t.TempDir()
	dst = filepath.Join(disk, "dst")
	if err := os.Mkdir(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	s.endpointOf("disk", dirSide(disk))
	s.newTask("t", "store:src/in/", "disk:dst", map[string]any{"deletes": true})
	hook = strings.TrimSpace(s.cli(0, "", "task", "hook", "t"))
	base, token, ok := strings.Cut(hook, "/hooks/s3/")
	if !ok || base != "http://"+s.address || len(token) != 43 {
		t.Fatalf("hook %q", hook)
	}
	return s, s3Client(t, srv), dst, token
}

func has(t *testing.T, dir, key string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, key))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

func putKey(t *testing.T, c *minio.Client, bucket, key string) {
	t.Helper()
	if _, err := c.PutObject(t.Context(), bucket, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

// follows puts and removes objects at the source and waits until the destination has done
// the same, by notifications alone.
func follows(t *testing.T, s *service, c *minio.Client, dst string) {
	t.Helper()
	putKey(t, c, "src", "outside.txt")
	putKey(t, c, "other", "in/elsewhere.txt")
	putKey(t, c, "src", "in/kept.txt") // an emptied source would stop the deletes
	for _, key := range oddNames {
		putKey(t, c, "src", "in/"+key)
	}
	for _, key := range oddNames {
		s.until(key+" is at the destination", func() bool { return has(t, dst, key) })
	}
	if err := c.RemoveObject(t.Context(), "src", "in/"+oddNames[0], minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until("one is deleted", func() bool { return !has(t, dst, oddNames[0]) })
	gone := make(chan minio.ObjectInfo, len(oddNames))
	for _, key := range oddNames[1:] {
		gone <- minio.ObjectInfo{Key: "in/" + key}
	}
	close(gone)
	for e := range c.RemoveObjects(t.Context(), "src", gone, minio.RemoveObjectsOptions{}) {
		t.Fatal(e.Err)
	}
	for _, key := range oddNames {
		s.until(key+" is deleted at the destination", func() bool { return !has(t, dst, key) })
	}
	if n := s.settled("t"); n.Failed != 0 || n.Requested < 2*int64(len(oddNames)) {
		t.Errorf("counts %+v", n)
	}
	s.prove("t")
	if has(t, dst, "elsewhere.txt") {
		t.Error("an object of another bucket came along")
	}
}

// TestVersityGWNotifies: what happens at a source arrives by its notifications, and whoever
// has no token learns nothing.
func TestVersityGWNotifies(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	srv := s3server.VersityGW(t, "--event-webhook-url", rec.URL)
	s, c, dst, token := notified(t, srv)
	rec.pass(t, s, token)
	t.Cleanup(func() { rec.save(t, "versitygw.jsonl") })
	follows(t, s, c, dst)
	for _, path := range []string{"", "/", "/x", "/" + strings.Repeat("A", 43), "/" + token + "x", "/" + token + "/"} {
		status, body, err := s.try(t.Context(), http.MethodPost, "/hooks/s3"+path, strings.NewReader("{}"))
		if err != nil || status != http.StatusNotFound || !bytes.Contains(body, []byte("there is nothing here")) {
			t.Errorf("%q: %d %s %v", path, status, body, err)
		}
	}
	wants(t, s.cli(1, "", "task", "hook", "t"), "HOOK_EXISTS", "--rotate")
	next := strings.TrimSpace(s.cli(0, "", "task", "hook", "t", "--rotate"))
	post := func(token string) int {
		status, _, err := s.try(t.Context(), http.MethodPost, "/hooks/s3/"+token, strings.NewReader(`{"Event":"s3:TestEvent"}`))
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	if was, is := post(token), post(next[strings.LastIndex(next, "/")+1:]); was != http.StatusNotFound || is != http.StatusOK {
		t.Errorf("after the rotation: %d before, %d now", was, is)
	}
	s.cli(0, "", "task", "hook", "t", "--remove")
	if is := post(next[strings.LastIndex(next, "/")+1:]); is != http.StatusNotFound {
		t.Errorf("after the removal: %d", is)
	}
	wants(t, s.cli(0, "", "audit", "list"), "hook.put", "hook.delete")
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	_, metrics, err := s.try(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{token, next[strings.LastIndex(next, "/")+1:]} {
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(metrics, []byte(secret)) {
			t.Error("a token is in the log or in the metrics")
		}
	}
	wants(t, string(text), "/hooks/s3/***")
	wants(t, string(metrics), `route="s3-hook"`)
}

// TestNotifiesMinIO has the token in the header, as MinIO sends its auth_token.
func TestNotifiesMinIO(t *testing.T) {
	t.Parallel()
	rec := newRecorder(t)
	srv := s3server.MinIO(t, "MINIO_NOTIFY_WEBHOOK_ENABLE_LOCKSTEP=on", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_LOCKSTEP="+rec.URL,
		"MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_LOCKSTEP="+minioToken, "MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_LOCKSTEP="+t.TempDir())
	s, c, dst, token := notified(t, srv)
	rec.header = true
	rec.pass(t, s, token)
	config := notification.Configuration{}
	arn, err := notification.NewArnFromString("arn:minio:sqs::LOCKSTEP:webhook")
	if err != nil {
		t.Fatal(err)
	}
	topic := notification.NewConfig(arn)
	topic.AddEvents(notification.ObjectCreatedAll, notification.ObjectRemovedAll, "s3:ObjectAccessed:*")
	config.AddQueue(topic)
	for _, b := range []string{"src", "other"} {
		if err := c.SetBucketNotification(t.Context(), b, config); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { rec.save(t, "minio.jsonl") })
	follows(t, s, c, dst)
}
