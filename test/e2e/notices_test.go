package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestNotifications is told of a scan that fails, by a signed request, and of its end.
func TestNotifications(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events, signed []string
	secret := ""
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		at, mac, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Lockstep-Signature"), "t="), ",v1=")
		want := hmac.New(sha256.New, []byte(secret))
		want.Write([]byte(at + "." + string(text)))
		if mac == hex.EncodeToString(want.Sum(nil)) {
			signed = append(signed, r.Header.Get("Lockstep-Event"))
		}
		var n struct {
			Event, Job string
			TaskName   string `json:"task_name"`
			Counts     serviceCounts
		}
		if err := json.Unmarshal(text, &n); err == nil && n.TaskName == "t" && n.Job != "" {
			events = append(events, n.Event)
		}
	}))
	t.Cleanup(receiver.Close)
	told := func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, " ") + " / " + strings.Join(signed, " ")
	}
	s, src, dst := onDisk(t)
	var made struct{ ID, Secret string }
	mu.Lock()
	s.call(http.MethodPost, "/notifications", map[string]any{"url": receiver.URL + "/x?token=hush"}, &made)
	secret = made.Secret
	mu.Unlock()
	if err := os.MkdirAll(filepath.Join(dst, "a", "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "a"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if j := s.scanned("t"); j.Counts.Failed != 1 {
			t.Fatalf("scan %+v", j)
		}
	}
	s.until("it is told of the failure", func() bool { return told() == "job.failed / job.failed" })
	if err := os.RemoveAll(filepath.Join(dst, "a")); err != nil {
		t.Fatal(err)
	}
	s.cli(0, "", "retry", "t", "--wait")
	s.until("it is told of the end", func() bool { return told() == "job.failed recovered / job.failed recovered" })
	s.stop()
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), made.Secret) || strings.Contains(string(text), "hush") {
		t.Error("the secret or the address is in the log")
	}
}
