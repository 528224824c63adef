package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

// serverKind is a flag.Value.
type serverKind string

// The kinds of servers.
const (
	mem       serverKind = "mem"
	versitygw serverKind = "versitygw"
	minio     serverKind = "minio"
)

func (k *serverKind) String() string { return string(*k) }

func (k *serverKind) Set(name string) error {
	switch kind := serverKind(name); kind {
	case mem, versitygw, minio:
		*k = kind
		return nil
	default:
		return fmt.Errorf("no server is called %q", name)
	}
}

// Credentials of every server here.
const (
	accessKey = "lockstep-bench"
	secretKey = "lockstep-bench-secret"
)

// serverSpec is how a server is run.
type serverSpec struct {
	program string
	args    func(addr, dir string) []string
	env     []string
	ready   string // path that answers 200 once requests are served
}

// spec finds or builds the server's executable. self is this program's.
func (k serverKind) spec(ctx context.Context, self string, delay time.Duration) (serverSpec, error) {
	switch k {
	case versitygw:
		path, err := executable(ctx, pinned.VersityGW)
		return serverSpec{
			program: path, ready: "/health",
			args: func(addr, dir string) []string {
				return []string{
					"--port", addr, "--keep-alive", "--quiet", "--health", "/health",
					"posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"),
				}
			},
			env: []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
		}, err
	case minio:
		path, err := executable(ctx, pinned.MinIO)
		return serverSpec{
			program: path, ready: "/minio/health/ready",
			args: func(addr, dir string) []string {
				return []string{"server", "--quiet", "--certs-dir", dir, "--address", addr, filepath.Join(dir, "data")}
			},
			env: []string{
				"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_BROWSER=off",
				"MINIO_UPDATE=off", "MINIO_SCANNER_SPEED=slowest", "MINIO_API_REQUESTS_MAX=1000",
			},
		}, err
	default:
		return serverSpec{
			program: self, ready: "/.requests",
			args: func(addr, _ string) []string { return []string{"serve", "-addr", addr, "-delay", delay.String()} },
		}, nil
	}
}

// executable returns the program named by the variable that bears its name in
// capitals (RCLONE, MC, VERSITYGW, MINIO), else the pinned one, built if need be.
func executable(ctx context.Context, p pinned.Program) (string, error) {
	if path := os.Getenv(strings.ToUpper(p.Name)); path != "" {
		return exec.LookPath(path)
	}
	return p.Build(ctx, os.Stderr)
}

// server is a running server process.
type server struct {
	endpoint string
	cmd      *exec.Cmd
	ended    chan struct{}
	dir      string
}

const (
	serverStart  = time.Minute // a busy machine is no failure
	startRetries = 3           // another process may take the port that was free
)

var errServerEnded = errors.New("the server ended at its start")

// startServer runs a server with an empty store of its own below dir.
func startServer(ctx context.Context, spec serverSpec, dir string, log io.Writer) (*server, error) {
	var err error
	for range startRetries {
		var s *server
		if s, err = launchServer(ctx, spec, dir, log); err != nil {
			return nil, err
		}
		if err = s.waitReady(ctx, spec.ready); err == nil {
			return s, nil
		}
		s.stop()
		if !errors.Is(err, errServerEnded) {
			break
		}
	}
	return nil, fmt.Errorf("start %s: %w", filepath.Base(spec.program), err)
}

func launchServer(ctx context.Context, spec serverSpec, parent string, log io.Writer) (*server, error) {
	dir, err := os.MkdirTemp(parent, "server-")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"data", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return nil, err
		}
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(spec.program, spec.args(addr, dir)...) //nolint:noctx // stop ends it, after the tools
	cmd.Dir = dir
	cmd.Env = append(baseEnv(dir), spec.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{endpoint: "http://" + addr, cmd: cmd, ended: make(chan struct{}), dir: dir}
	go func() { // ends with the process, which stop kills
		_ = cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// stop kills the server and removes what it stored.
func (s *server) stop() {
	_ = s.cmd.Process.Kill() // an error means that it has ended
	<-s.ended
	_ = os.RemoveAll(s.dir)
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *server) waitReady(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, serverStart)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers(ctx, path) {
			return nil
		}
		select {
		case <-s.ended:
			return errServerEnded
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *server) answers(ctx context.Context, path string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+path, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
