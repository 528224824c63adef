package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// leaks looks for planted secrets in all that a service says and keeps.
type leaks struct {
	*testing.T
	secrets map[string]string // by what they are
	looked  int
}

// plant adds a secret.
func (l *leaks) plant(what, secret string) string {
	l.secrets[what] = secret
	return secret
}

// look searches text for every secret in the forms in which it travels.
func (l *leaks) look(where string, text []byte) {
	l.Helper()
	l.looked += len(text)
	for what, secret := range l.secrets {
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(serviceKey + ":" + secret)),
		} {
			if at := bytes.Index(text, []byte(form)); at >= 0 {
				l.Errorf("the %s is in %s: …%q…", what, where, text[max(0, at-80):min(len(text), at+40)])
				break
			}
		}
	}
}

// TestServiceKeepsSecrets plants secrets wherever a service is given some, has it do and
// fail at everything with verbose logs, and looks for them in its logs, answers, metrics,
// database, backups and lists.
func TestServiceKeepsSecrets(t *testing.T) {
	t.Parallel()
	l := &leaks{T: t, secrets: map[string]string{}}
	l.plant("secret of the first access key", serviceSecret)
	f := s3fault.New(t, s3fault.Options{
		AccessKey: "PLANTEDACCESS", SecretKey: l.plant("store's secret key", "planted/store+secret==0001"),
		SessionToken: l.plant("store's session token", "planted/session+token==0002"),
	})
	s := newService(t, "--verbose")
	store := t.TempDir()
	src, _ := dirBucket(t, filepath.Join(store, "source"))
	for _, key := range []string{"a", "b", "c", "refused"} {
		put(t, src, key, []byte("text of "+key))
	}
	s.start()
	ask := func(method, path string, in any) []byte {
		status, body, err := s.try(t.Context(), method, path, in)
		if err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		l.look(method+" "+path+" "+http.StatusText(status), body)
		return body
	}
	api := func(method, path string, in any) []byte { return ask(method, "/api/v1"+path, in) }

	s.endpointOf("disk", side{url: "file://" + store})
	good := map[string]string{"access_key": "PLANTEDACCESS", "secret_key": l.secrets["store's secret key"], "session_token": l.secrets["store's session token"]}
	wrong := map[string]string{"access_key": "PLANTEDACCESS", "secret_key": l.plant("wrong secret key", "planted/wrong+secret==0003"), "session_token": l.plant("wrong token", "planted/wrong+token==0004")}
	endpoint := func(name, at string, credentials map[string]string) map[string]any {
		return map[string]any{"name": name, "provider": "generic", "url": at, "credentials": credentials}
	}
	api(http.MethodPost, "/endpoints", endpoint("remote", f.URL, good))
	api(http.MethodPost, "/endpoints", endpoint("wrong", f.URL, wrong))
	// What is refused is repeated nowhere either.
	with := strings.Replace(f.URL, "http://", "http://someone:"+l.plant("password in a URL", "planted-url-password-0005")+"@", 1)
	api(http.MethodPost, "/endpoints", endpoint("userinfo", with, good))
	api(http.MethodPost, "/endpoints", endpoint("query", f.URL+"/?X-Amz-Signature="+l.plant("signature in a URL", "planted-url-signature-0006"), good))
	api(http.MethodPost, "/endpoints", endpoint("", f.URL, good))
	api(http.MethodPost, "/endpoints", endpoint("remote", f.URL, good))
	api(http.MethodPost, "/endpoints", map[string]any{"name": "odd", "provider": "generic", "url": f.URL, "credentials": l.plant("secret in a wrong place", "planted-odd-place-0007")})
	api(http.MethodPost, "/endpoints", strings.NewReader(`{"name": "torn", "credentials": {"secret_key": "`+l.plant("secret in broken JSON", "planted-broken-json-0008")+`"`))
	api(http.MethodGet, "/endpoints", nil)
	api(http.MethodGet, "/endpoints/remote", nil)
	api(http.MethodPost, "/endpoints/remote/check", map[string]any{"bucket": "bucket", "write": true})
	api(http.MethodPost, "/endpoints/wrong/check", map[string]any{"bucket": "bucket", "write": true})

	// An access key's secret is shown once, to who made it, and replayed to nobody else.
	var made struct{ ID, Secret string }
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/api/v1/keys", strings.NewReader(`{"role": "viewer", "name": "eyes"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(serviceKey, serviceSecret)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "once")
	answer, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(answer.Body).Decode(&made); err != nil || made.Secret == "" {
		t.Fatalf("%+v, %v", made, err)
	}
	answer.Body.Close()
	l.plant("secret of a second access key", made.Secret)
	api(http.MethodGet, "/keys", nil)
	for id, secret := range map[string]string{serviceKey: l.plant("secret that a stranger tried", "planted-stranger-0009"), "LSNOBODY": "planted-stranger-0009"} {
		stranger := &service{T: t, address: s.address}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+stranger.address+"/api/v1/tasks?secret="+secret, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+id+":"+secret)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		_, _ = text.ReadFrom(resp.Body)
		resp.Body.Close()
		l.look("the answer to a stranger", text.Bytes())
	}

	// Work, and failures whose words quote what was sent.
	s.newTask("main", "disk:source", "remote:bucket", nil)
	s.newTask("broken", "disk:source", "wrong:other", nil)
	f.Inject(s3fault.Fault{
		Op: "put", Key: "refused", Runs: -1, Kind: s3fault.Answer, Status: 400, Code: "InvalidRequest",
		Message: "you sent " + good["secret_key"] + " and X-Amz-Security-Token=" + good["session_token"] + " Signature=abc",
	})
	s.scanned("main")
	s.event("broken", "a", "b")
	s.event("main", "a", "b", "nowhere")
	s.until("all but the failed is done", func() bool { c := s.counts("main"); return c.Pending == 0 && c.Failed > 0 })
	wants(t, string(api(http.MethodGet, "/tasks/broken/status", nil)), "obstacle", "destination: CREDENTIALS_REFUSED")
	for _, path := range []string{"/tasks/main/failures", "/tasks/main/status", "/tasks/broken/status", "/tasks/main/jobs", "/tasks", "/status", "/audit", "/openapi.json", "/tasks/main/reasons"} {
		api(http.MethodGet, path, nil)
	}
	for _, path := range []string{"/tasks/main/prove", "/tasks/main/retry", "/audit/verify"} {
		api(http.MethodPost, path, map[string]any{})
	}
	api(http.MethodPost, "/tasks/main/explain", map[string]any{"key": "refused"})
	api(http.MethodPost, "/tasks/broken/explain", map[string]any{"key": "a"})
	api(http.MethodPatch, "/endpoints/wrong", map[string]any{"credentials": good})
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/", "//Hooks/s3/planted-path-token-0010", "/hooks/s3/" + l.plant("token in a path", "planted-path-token-0010"), "/nowhere?token=planted-path-token-0010"} {
		if body := ask(http.MethodGet, path, nil); path == "/metrics" && len(body) == 0 {
			t.Error("no metrics")
		}
	}
	for _, args := range [][]string{{"status"}, {"status", "main"}, {"explain", "main", "refused"}, {"endpoint", "list"}, {"key", "list"}, {"audit", "list"}} {
		cmd := s.command(args...)
		out, _ := cmd.CombinedOutput()
		l.look("lockstep "+strings.Join(args, " "), out)
	}

	// The lists, once they are all there.
	dst, err := s3.Open(s3.Config{Endpoint: f.URL, Region: "us-east-1", Bucket: "bucket", AccessKey: "PLANTEDACCESS", SecretKey: good["secret_key"], SessionToken: good["session_token"]})
	if err != nil {
		t.Fatal(err)
	}
	lists := 0
	s.until("the scan's lists are uploaded", func() bool {
		lists = 0
		for key := range list(t, dst) {
			if strings.HasSuffix(key, "manifest.json") {
				lists++
			}
		}
		return lists > 0
	})
	for key := range list(t, dst) {
		l.look("the object "+key, read(t, objstore.Bucket(dst), key))
	}
	s.stop()

	log, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("/api/v1/tasks/main/explain")) {
		t.Error("the log does not tell of requests")
	}
	l.look("the log", log)
	if at := bytes.Index(log, []byte("Signature=")); at >= 0 && !bytes.HasPrefix(log[at:], []byte("Signature=[hidden]")) {
		t.Errorf("a signature is in the log: %q", log[max(0, at-80):min(len(log), at+40)])
	}
	l.data(s.data)
	t.Logf("%d secrets looked for in %d bytes", len(l.secrets), l.looked)
}

// data looks through all that is kept in a data directory, the sealing key aside: that is
// in no other file.
func (l *leaks) data(dir string) {
	l.Helper()
	seal, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	if err != nil {
		l.Fatal(err)
	}
	l.plant("sealing key", strings.TrimSpace(string(seal)))
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "seal.key" {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		l.look(d.Name(), text)
		return err
	})
	if err != nil || files == 0 {
		l.Fatalf("%d files, %v", files, err)
	}
}
