package s3server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

// spec is how a server is run.
type spec struct {
	program pinned.Program
	dir     string                        // the test's own; becomes HOME, holds data and log
	args    func(address string) []string // address is 127.0.0.1:port
	env     []string
	ready   string // path that answers 200 once requests are served
}

// startTimeout is generous: a machine of two cores may be running everything else too.
const startTimeout = time.Minute

// tries bounds how often another port is taken when somebody else was faster.
const tries = 5

// start runs a server until the test ends. When the test fails, the end of the
// server's log is printed.
func start(t testing.TB, s spec) Server {
	t.Helper()
	path := executable(t, s.program)
	logPath := filepath.Join(s.dir, "server.log")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the last that %s said:\n%s", s.program.Name, tail(logPath))
		}
	})
	var err error
	for range tries {
		var address string
		if address, err = freeAddress(t.Context()); err != nil {
			break
		}
		var p *process
		if p, err = launch(path, address, logPath, s); err != nil {
			break
		}
		t.Cleanup(p.stop)
		url := "http://" + address
		if err = p.waitReady(t.Context(), url+s.ready); err == nil {
			return Server{Endpoint: url, Region: region, AccessKey: accessKey, SecretKey: secretKey}
		}
		p.stop()
		if !errors.Is(err, errEnded) {
			break
		}
	}
	t.Fatalf("start %s: %v", s.program.Name, err)
	return Server{}
}

// freeAddress returns an address nobody listens on now. Somebody may before the
// server does, which then ends at once.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// process is a server's process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
}

// errEnded says that a server ended by itself.
var errEnded = errors.New("the server ended")

// launch starts a server with an environment of its own, so that settings of
// whoever runs the tests cannot change what is tested.
func launch(path, address, logPath string, s spec) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path:        path,
		Args:        append([]string{path}, s.args(address)...),
		Env:         append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir}, s.env...),
		Dir:         s.dir,
		Stdout:      log,
		Stderr:      log,
		SysProcAttr: dieWithParent(),
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go p.own(log, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// own starts the process and waits for its end, all from one operating system
// thread: Linux kills the child when the thread that started it ends.
func (p *process) own(log io.Closer, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // killed: that is no news
	}
	_ = log.Close()
	close(p.ended)
}

// stop kills the process: its data is thrown away. It may be called again.
func (p *process) stop() {
	_ = p.cmd.Process.Kill() // an error means that it has ended
	<-p.ended
}

// waitReady returns when url answers 200, with errEnded when the process ends before.
func (p *process) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := probe(ctx, url)
		select {
		case <-p.ended:
			return errEnded
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true // leave no idle connection to a test that counts them
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

// tail returns the last 4 KiB of a file, or why it cannot.
func tail(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-4096):])
}
