package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
)

const (
	accessKey = "LSBENCHBENCHBENCH000"
	secretKey = "bench-secret"
	srcBucket = "bench-src"
	dstBucket = "bench-dst"
)

// world is a service with a task between two stores.
type world struct {
	*bench
	service  *exec.Cmd
	servers  []*exec.Cmd
	url      string
	src, dst *bare.Client
	ends     [2]string // endpoints of the stores
	http     http.Client
}

// start runs two stores and a service with a task named main.
func (b *bench) start(ctx context.Context, state string) (_ *world, err error) {
	w := &world{bench: b}
	w.http.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	for i, bucket := range []string{srcBucket, dstBucket} {
		if w.ends[i], err = w.startStore(ctx); err != nil {
			return nil, err
		}
		c, err := bare.New(bare.Config{Endpoint: w.ends[i], AccessKey: accessKey, SecretKey: secretKey, Connections: 64})
		if err != nil {
			return nil, err
		}
		if err := c.CreateBucket(ctx, bucket); err != nil {
			return nil, err
		}
		if i == 0 {
			w.src = c
		} else {
			w.dst = c
		}
	}
	if err := w.startService(ctx); err != nil {
		return nil, err
	}
	return w, w.makeTask(ctx, state)
}

func (w *world) startStore(ctx context.Context) (string, error) {
	addr, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self, "memserver", addr)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = w.log, w.log, ownSession()
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w.servers = append(w.servers, cmd)
	return "http://" + addr, w.answers(ctx, "http://"+addr+"/.requests")
}

func (w *world) startService(ctx context.Context) error {
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp(w.dir, "data-")
	if err != nil {
		return err
	}
	database := ""
	if w.postgres != nil {
		if database, err = w.postgres.NewDatabase(ctx); err != nil {
			return err
		}
	}
	args := []string{"serve", "--data", data, "--listen", addr}
	if w.profile != "" {
		args = append(args, "--cpu-profile", filepath.Join(w.profile, filepath.Base(data)+".prof"))
	}
	w.service = exec.CommandContext(ctx, w.lockstep, args...)
	w.service.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+accessKey, "LOCKSTEP_SECRET_KEY="+secretKey, "LOCKSTEP_DATABASE="+database)
	w.service.Stdout, w.service.Stderr, w.service.SysProcAttr = w.log, w.log, ownSession()
	if err := w.service.Start(); err != nil {
		return err
	}
	w.url = "http://" + addr
	return w.answers(ctx, w.url+"/readyz")
}

func (w *world) makeTask(ctx context.Context, state string) error {
	for i, name := range []string{"src", "dst"} {
		err := w.call(ctx, http.MethodPost, "/endpoints", map[string]any{
			"name": name, "provider": "generic", "url": w.ends[i],
			"credentials": map[string]string{"access_key": accessKey, "secret_key": secretKey},
		}, nil)
		if err != nil {
			return err
		}
	}
	return w.call(ctx, http.MethodPost, "/tasks", map[string]any{
		"name": "main", "state": state,
		"source": map[string]string{"endpoint": "src", "bucket": srcBucket}, "destination": map[string]string{"endpoint": "dst", "bucket": dstBucket},
	}, nil)
}

// stop ends everything. What it had in its directory goes with that.
func (w *world) stop() {
	if w.profile != "" && w.service != nil && w.service.Process != nil {
		_ = w.service.Process.Signal(os.Interrupt) // the profile is written at the end
		_ = w.service.Wait()
	}
	for _, cmd := range append(w.servers, w.service) {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	w.http.CloseIdleConnections()
}

// answers waits until a URL says 200.
func (w *world) answers(ctx context.Context, url string) error {
	give := time.Now().Add(30 * time.Second)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := w.http.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(give) {
			return fmt.Errorf("%s does not answer", url)
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call sends a request to /api/v1 and decodes the answer.
func (w *world) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, err := w.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func (w *world) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.url+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(accessKey, secretKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	return answer, err
}

// counts are those of the task.
type counts struct{ Requested, Synced, Failed, Ignored, Pending int64 }

func (w *world) counts(ctx context.Context) (counts, error) {
	var s struct{ Counts counts }
	err := w.call(ctx, http.MethodGet, "/tasks/main/status", nil, &s)
	return s.Counts, err
}

// settled waits until n records have ended and none waits.
func (w *world) settled(ctx context.Context, n int64) (counts, error) {
	for {
		c, err := w.counts(ctx)
		if err != nil || c.Pending == 0 && c.Requested >= n {
			return c, err
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return c, err
		}
	}
}

// cpu is the processor time a process has used, in hundredths of a second.
func cpu(p *os.Process) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat is not as expected")
	}
	user, err1 := strconv.Atoi(fields[11])
	sys, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+sys) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// resident is the memory a process has in use and the most it had, in MiB.
func resident(p *os.Process) (now, peak float64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.Pid), "status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			now = kib / 1024
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			peak = kib / 1024
		}
	}
	return now, peak, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
