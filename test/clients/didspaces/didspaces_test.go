// Package didspaces runs the unmodified DID Spaces clients against lockstep serve.
package didspaces

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/test/clients/npm"
)

// binary is the lockstep executable under test, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lockstep-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "lockstep")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../../cmd/lockstep")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// service is a running lockstep serve with a fresh data directory.
type service struct {
	testing.TB
	url string
}

var addressPattern = regexp.MustCompile(`answers at (http://\S+)`)

func serve(tb testing.TB, flags ...string) *service {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	cmd := exec.CommandContext(ctx, binary, append([]string{"serve", "--data", tb.TempDir(), "--listen", "127.0.0.1:0"}, flags...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY=AK", "LOCKSTEP_SECRET_KEY=0123456789secret")
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		if err := cmd.Wait(); err != nil && tb.Failed() {
			tb.Logf("lockstep serve: %v\n%s", err, log.String())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := addressPattern.FindStringSubmatch(lines.Text()); m != nil {
			s := &service{tb, m[1]}
			s.ready()
			return s
		}
	}
	tb.Fatalf("lockstep serve did not start\n%s", log.String())
	return nil
}

// ready waits until the service answers.
func (s *service) ready() {
	s.Helper()
	for {
		if _, err := s.get("/readyz"); err == nil {
			return
		} else if s.Context().Err() != nil {
			s.Fatal(err)
		}
	}
}

func (s *service) get(path string) (string, error) {
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// cli runs a command of lockstep against the service.
func (s *service) cli(args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "LOCKSTEP_URL="+s.url, "LOCKSTEP_ACCESS_KEY=AK", "LOCKSTEP_SECRET_KEY=0123456789secret")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("lockstep %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// wallet is a wallet as the driver makes it. Version asks for tokens of one.
type wallet struct {
	SecretKey string         `json:"secretKey"`
	Type      map[string]int `json:"type,omitempty"`
	Version   string         `json:"version,omitempty"`
	address   string
}

// wallets are those of the dialect's vectors, by label.
func wallets(tb testing.TB) map[string]wallet {
	tb.Helper()
	text, err := os.ReadFile("../../../internal/api/didspaces/testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v struct {
		Wallets []struct {
			Label, SecretKey, Address string
			Type                      struct{ Role, Key, Hash [2]any }
		}
	}
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	out := map[string]wallet{}
	for _, w := range v.Wallets {
		number := func(pair [2]any) int { n, _ := pair[0].(float64); return int(n) }
		out[w.Label] = wallet{SecretKey: w.SecretKey, address: w.Address, Type: map[string]int{
			"role": number(w.Type.Role), "pk": number(w.Type.Key), "hash": number(w.Type.Hash),
		}}
	}
	return out
}

// driver is a process with the client in it.
type driver struct {
	testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

func drive(tb testing.TB, word, version string) *driver {
	tb.Helper()
	at := npm.Install(tb, word, version)
	script, err := filepath.Abs("drive.cjs")
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "node", script) // ends with its input
	cmd.Dir = at
	var stderr lockedBuffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil || tb.Failed() {
			tb.Logf("node: %v\n%s", err, stderr.String())
		}
	})
	return &driver{tb, in, bufio.NewReader(out)}
}

// result is what the client returns, or throws.
type result struct {
	StatusCode    any
	StatusMessage string
	Data          json.RawMessage
	Thrown        string
}

// entry reads the entry that a command returned.
func (r result) entry(tb testing.TB) (e entry) {
	tb.Helper()
	if r.StatusCode != 200.0 || r.StatusMessage != "OK" {
		tb.Fatalf("the client returned %v %q %s%s", r.StatusCode, r.StatusMessage, r.Data, r.Thrown)
	}
	if err := json.Unmarshal(r.Data, &e); err != nil {
		tb.Fatal(err)
	}
	return e
}

type entry struct {
	ID, Status, Reason, EntityName, ActionType string
	Data                                       struct {
		Source, Target                                       string
		TotalCount, ErrorCount, SuccessCount, Size, Duration float64
		Metadata                                             map[string]any
	}
}

type list struct {
	Rows, Data   []entry
	Count, Total int
}

type command struct {
	Wallet   wallet `json:"wallet"`
	Endpoint string `json:"endpoint"`
	URL      string `json:"url,omitempty"`
	Command  string `json:"command"`
	Input    any    `json:"input"`
}

func (d *driver) do(c command) (r result) {
	d.Helper()
	line, err := json.Marshal(c)
	if err == nil {
		_, err = d.in.Write(append(line, '\n'))
	}
	if err != nil {
		d.Fatal(err)
	}
	answer, err := d.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(answer, &r)
	}
	if err != nil {
		d.Fatalf("%v in %q", err, answer)
	}
	return r
}

type input = map[string]any

// The newest client whose packages are few, against a real service.
func TestClient(t *testing.T) { testClient(t, npm.Node, "1.1.6") }

// The newest of all, and the oldest that has the commands.
func TestInteropNewest(t *testing.T) { testClient(t, npm.Interop, "1.2.23") }
func TestInteropOldest(t *testing.T) { testClient(t, npm.Interop, "1.0.11") }

func testClient(t *testing.T, word, version string) {
	t.Parallel()
	d := drive(t, word, version)
	s := serve(t)
	app := wallets(t)["ed25519-sha3-application-1"]
	endpoint := s.url + "/app/api/space/z1TizjMJ8kxbjyVsTfS7NBb1NJijpbG8vwK/app/" + app.address + "/object/"
	do := func(name string, in input) result {
		t.Helper()
		return d.do(command{Wallet: app, Endpoint: endpoint, URL: s.url, Command: name, Input: in})
	}

	// Nobody knows the app; the client's user sees what to do.
	start := input{"source": "s3://photos", "target": "did-space", "metadata": input{"k": "<&>"}}
	if r := do("post", start); r.StatusCode != 403.0 || !strings.Contains(r.StatusMessage, "lockstep app add "+app.address) || strings.HasSuffix(r.StatusMessage, "\n") {
		t.Fatalf("an app that nobody knows: %+v", r)
	}
	s.cli("app", "add", "did:abt:"+app.address, "--name", "Photos")
	if out := s.cli("app", "list"); !strings.Contains(out, app.address+"  Photos") {
		t.Fatalf("apps\n%s", out)
	}

	posted := do("post", start).entry(t)
	if posted.Status != "pending" || posted.ActionType != "app-objects-sync" || posted.EntityName != "Photos" || posted.Data.Source != "s3://photos" {
		t.Fatalf("posted %+v", posted)
	}
	// The reference page's example, with a status that there is.
	report := input{"id": posted.ID, "status": "succeeded", "totalCount": 100, "errorCount": 0, "successCount": 100, "size": 1024000, "duration": 5000}
	for range 2 {
		e := do("put", report).entry(t)
		if e.Status != "succeeded" || e.Data.TotalCount != 100 || e.Data.Size != 1024000 || e.Data.Target != "did-space" || e.Data.Metadata["k"] != "<&>" {
			t.Fatalf("put %+v", e)
		}
	}
	failed := do("post", input{"source": "a", "target": "b"}).entry(t)
	if e := do("put", input{
		"id": failed.ID, "status": "failed", "reason": "Network timeout", "totalCount": 3, "errorCount": 1, "size": 0, "duration": 1.25,
	}).entry(t); e.Reason != "Network timeout" || e.Data.SuccessCount != 2 || e.Data.Duration != 1.25 {
		t.Fatalf("put %+v", e)
	}
	// What the client lets pass and the server does not.
	contradiction := input{"id": failed.ID, "status": "failed", "totalCount": 1, "errorCount": 5, "size": 0, "duration": 0}
	if r := do("put", contradiction); r.StatusCode != 400.0 || !strings.Contains(r.StatusMessage, "data.errorCount") {
		t.Fatalf("figures that contradict themselves: %+v", r)
	}
	if r := do("put", input{"id": "nobody-knows-it", "status": "failed", "totalCount": 1, "errorCount": 1, "size": 0, "duration": 0}); r.StatusCode != 404.0 {
		t.Fatalf("an unknown id: %+v", r)
	}

	testList(t, s, do, failed)
	testCurve(t, s, d, version)
}

// testList lists the app's entries beside what Lockstep does.
func testList(t *testing.T, s *service, do func(string, input) result, newest entry) {
	t.Helper()
	get := func(in input) (l list) {
		t.Helper()
		r := do("list", in)
		if r.StatusCode != 200.0 {
			t.Fatalf("list %v: %+v", in, r)
		}
		if err := json.Unmarshal(r.Data, &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := get(input{}); l.Total != 2 || l.Count != 2 || len(l.Data) != 2 || l.Rows[0].ID != newest.ID {
		t.Fatalf("list %+v", l)
	}
	// As the client's own interface asks for the latest entry.
	latest := input{"size": "1", "status": "succeeded", "actionType": []string{"app-backup", "app-restore", "app-objects-sync"}}
	if l := get(latest); l.Total != 1 || len(l.Rows) != 1 || l.Rows[0].Status != "succeeded" {
		t.Fatalf("list %+v", l)
	}
	store := t.TempDir()
	for _, name := range []string{"source/a", "source/b", "destination/"} {
		path := filepath.Join(store, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte("data"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.cli("endpoint", "add", "disk", "--provider", "file", "--url", "file://"+store)
	s.cli("task", "create", "photos", "disk:source", "disk:destination")
	s.cli("job", "start", "photos", "--wait")
	l := get(latest)
	if l.Total != 2 || l.Rows[0].EntityName != "photos" || l.Rows[0].Data.Source != "disk:source/" || l.Rows[0].Data.SuccessCount != 2 || l.Rows[0].Data.Size != 8 {
		t.Fatalf("list %+v", l)
	}
	if out := s.cli("job", "list"); strings.Count(out, "external") != 2 || !strings.Contains(out, "scan") {
		t.Fatalf("jobs\n%s", out)
	}
	if out := s.cli("external", "list"); !strings.Contains(out, "Photos") || !strings.Contains(out, "last synced") {
		t.Fatalf("what other programs sync\n%s", out)
	}
	metrics, err := s.get("/metrics")
	if err != nil || !strings.Contains(metrics, `lockstep_external_jobs{dialect="didspaces",status="succeeded"} 1`) ||
		!strings.Contains(metrics, `lockstep_external_success_age_seconds{dialect="didspaces",subject="Photos"}`) {
		t.Fatalf("metrics %v\n%s", err, metrics)
	}
}

// testCurve signs with a key whose tokens of version 1.0.0 sign nothing.
func testCurve(t *testing.T, s *service, d *driver, version string) {
	t.Helper()
	app := wallets(t)["secp256k1-sha3-application-1"]
	s.cli("app", "add", app.address)
	c := command{
		Wallet: app, Endpoint: s.url + "/api/space/z1TizjMJ8kxbjyVsTfS7NBb1NJijpbG8vwK/app/" + app.address + "/object/", URL: s.url,
		Command: "post", Input: input{"source": "a", "target": "b"},
	}
	if r := d.do(c); r.StatusCode != 401.0 || !strings.Contains(r.StatusMessage, "forge") || !strings.Contains(r.StatusMessage, "'1.1.0'") {
		t.Fatalf("a token that signs nothing: %+v", r)
	}
	if version != "1.2.23" { // earlier ones do not ask the wallet
		return
	}
	c.Wallet.Version = "1.1.0"
	if e := d.do(c).entry(t); e.Status != "pending" {
		t.Fatalf("posted %+v", e)
	}
}

// Switched on, an app needs no registration.
func TestOpen(t *testing.T) {
	t.Parallel()
	d := drive(t, npm.Node, "1.1.6")
	s := serve(t, "--didspaces-open")
	app := wallets(t)["ed25519-sha3-application-2"]
	e := d.do(command{Wallet: app, Endpoint: s.url + "/api", URL: s.url, Command: "post", Input: input{"source": "a", "target": "b"}}).entry(t)
	if e.Status != "pending" {
		t.Fatalf("posted %+v", e)
	}
	if out := s.cli("app", "list"); !strings.Contains(out, app.address) {
		t.Fatalf("apps\n%s", out)
	}
}
