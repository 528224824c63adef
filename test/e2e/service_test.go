package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// service is a data directory, an address and an access key that outlive the processes
// that serve them.
type service struct {
	*testing.T
	data, address string
	flags         []string
	cmd           *exec.Cmd
	log           *os.File
	client        http.Client
}

const (
	serviceKey    = "LSTESTTESTTESTTEST00"
	serviceSecret = "a secret that only these tests know"
)

// newService starts nothing yet. It has a directory store, "disk", once it serves.
func newService(t *testing.T, flags ...string) *service {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{T: t, data: filepath.Join(dir, "data"), address: address, flags: flags, log: log}
	s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 128}
	t.Cleanup(func() {
		if s.cmd != nil {
			s.kill()
		}
		s.client.CloseIdleConnections()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the end of the log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return s
}

// start runs a process and returns how long it took until it was ready.
func (s *service) start() time.Duration {
	s.Helper()
	begun := time.Now()
	s.cmd = exec.CommandContext(context.WithoutCancel(s.Context()), binary, append([]string{"serve", "--data", s.data, "--listen", s.address}, s.flags...)...)
	s.cmd.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+serviceKey, "LOCKSTEP_SECRET_KEY="+serviceSecret)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.until("the service is ready", func() bool {
		status, _, err := s.try(s.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && status == http.StatusOK
	})
	return time.Since(begun)
}

// kill ends the process as a power cut would.
func (s *service) kill() {
	s.Helper()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// stop ends the process in order, and fails when it takes longer than it may.
func (s *service) stop() {
	s.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() {
		s.Error("the service did not stop within 20 s")
		_ = s.cmd.Process.Kill()
	})
	defer late.Stop()
	if err := s.cmd.Wait(); err != nil {
		s.Errorf("the service ended with %v", err)
	}
	s.cmd = nil
}

// try sends a request. in is JSON, or a reader.
func (s *service) try(ctx context.Context, method, path string, in any) (status int, body []byte, err error) {
	var r io.Reader
	if reader, ok := in.(io.Reader); ok {
		r = reader
	} else if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, r)
	if err != nil {
		return 0, nil, err
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth(serviceKey, serviceSecret)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// call sends a request to /api/v1 that must succeed, and decodes the answer.
func (s *service) call(method, path string, in, out any) {
	s.Helper()
	status, body, err := s.try(s.Context(), method, "/api/v1"+path, in)
	if err != nil {
		s.Fatalf("%s %s: %v", method, path, err)
	}
	if status/100 != 2 {
		s.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(body, out); err != nil {
		s.Fatalf("%s %s: %v in %.200s", method, path, err, body)
	}
}

// until waits for a state.
func (s *service) until(what string, reached func() bool) {
	s.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	give := time.After(4 * time.Minute)
	for !reached() {
		select {
		case <-tick.C:
		case <-give:
			s.Fatalf("not within four minutes: %s", what)
		}
	}
}

// serviceCounts are the counts of a task or a job as /api/v1 gives them.
type serviceCounts struct {
	Requested, Synced, Failed, Ignored, Pending int64
	Unchanged, Deleted, Missed                  int64
}

type serviceJob struct {
	ID, State, Kind, Why string
	Counts               serviceCounts
}

// endpointOf registers a store.
func (s *service) endpointOf(name string, at side) {
	s.Helper()
	e := map[string]any{"name": name, "provider": "file", "url": at.url}
	if at.endpoint != "" {
		e["provider"], e["url"] = "generic", at.endpoint
		if at.provider != "" {
			e["provider"] = at.provider
		}
		e["credentials"] = map[string]string{"access_key": at.accessKey, "secret_key": at.secretKey}
	}
	s.call(http.MethodPost, "/endpoints", e, nil)
}

// newTask makes a task between two "endpoint:bucket/prefix".
func (s *service) newTask(name, src, dst string, options map[string]any) {
	s.Helper()
	s.call(http.MethodPost, "/tasks", map[string]any{"name": name, "source": place(src), "destination": place(dst), "options": options}, nil)
}

func place(at string) map[string]string {
	endpoint, rest, _ := strings.Cut(at, ":")
	bucket, prefix, _ := strings.Cut(rest, "/")
	return map[string]string{"endpoint": endpoint, "bucket": bucket, "prefix": prefix}
}

func (s *service) event(name string, keys ...string) {
	s.Helper()
	s.call(http.MethodPost, "/tasks/"+name+"/events", map[string]any{"keys": keys}, nil)
}

func (s *service) scan(name string) serviceJob {
	s.Helper()
	var j serviceJob
	s.call(http.MethodPost, "/tasks/"+name+"/scan", nil, &j)
	return j
}

func (s *service) job(id string) (j serviceJob) {
	s.Helper()
	s.call(http.MethodGet, "/jobs/"+id, nil, &j)
	return j
}

// scanned runs a scan to its end.
func (s *service) scanned(name string) serviceJob {
	s.Helper()
	j := s.scan(name)
	s.until("the scan ends", func() bool {
		j = s.job(j.ID)
		return j.State != "open" && j.State != "closed" && j.State != "cancelling"
	})
	return j
}

type serviceStatus struct {
	Counts serviceCounts
	Marks  struct{ Missed float64 }
}

func (s *service) counts(name string) serviceCounts {
	s.Helper()
	var st serviceStatus
	s.call(http.MethodGet, "/tasks/"+name+"/status", nil, &st)
	return st.Counts
}

func (s *service) settled(name string) serviceCounts {
	s.Helper()
	s.until("nothing is pending", func() bool { return s.counts(name).Pending == 0 })
	return s.counts(name)
}

// prove fails unless every equality of the task holds.
func (s *service) prove(name string) serviceCounts {
	s.Helper()
	var p struct {
		OK     bool
		Broken string
		Counts serviceCounts
		Rows   json.RawMessage
	}
	s.call(http.MethodPost, "/tasks/"+name+"/prove", nil, &p)
	if !p.OK {
		s.Fatalf("the proof of %s is broken: %s\ncounts %+v\nrows %s", name, p.Broken, p.Counts, p.Rows)
	}
	return p.Counts
}

// writeOver replaces a file at once, as a store replaces an object.
func writeOver(path string, body []byte) error {
	next := fmt.Sprintf("%s.%d.next", path, time.Now().UnixNano())
	if err := os.WriteFile(next, body, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}
