// Package pgserver runs a private PostgreSQL for tests: on a Unix socket in a folder of
// its own, gone with the process that started it.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	dir  string // data, socket and log
	args []string
	who  *account
	cmd  *exec.Cmd
	dead chan struct{} // closed when the server has ended
	dbs  atomic.Int64

	template sync.Once
}

// Options of a server.
type Options struct {
	// Durable keeps fsync on, as in production; benchmarks need it, tests do not.
	Durable bool
}

// Require is the word in LOCKSTEP_REQUIRE that makes the absence of PostgreSQL a
// failure instead of a reason to skip.
const Require = "postgres"

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Shared returns the server that all tests of a package share, starting it when the
// first asks. Main stops it. Without PostgreSQL the test is skipped.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	skipShort(tb)
	shared.once.Do(func() { shared.server, shared.err = start(context.WithoutCancel(tb.Context()), Options{}) })
	need(tb, shared.err)
	return shared.server
}

// Main runs the tests of a package and stops the shared server: for TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.stop()
	}
	return code
}

// Start starts a server of the test's own.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	skipShort(tb)
	s, err := start(context.WithoutCancel(tb.Context()), o)
	need(tb, err)
	tb.Cleanup(s.stop)
	return s
}

var errAbsent = errors.New("no PostgreSQL is installed")

func need(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, errAbsent) && !required():
		tb.Skip(err)
	case err != nil:
		tb.Fatal(err)
	}
}

func required() bool {
	words := strings.FieldsFunc(os.Getenv("LOCKSTEP_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
	return slices.Contains(words, Require)
}

// skipShort: short tests start no servers.
func skipShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() && !required() {
		tb.Skip("short: no PostgreSQL")
	}
}

// Database creates an empty database and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	return s.create(tb, "")
}

// Copy creates a database like the one of the template URL, which nobody may be
// connected to, and returns its URL.
func (s *Server) Copy(tb testing.TB, template string) string {
	tb.Helper()
	u, err := url.Parse(template)
	if err != nil {
		tb.Fatal(err)
	}
	return s.create(tb, " TEMPLATE "+strings.TrimPrefix(u.Path, "/")+" STRATEGY FILE_COPY")
}

// Template returns the URL of a database that prepare has filled, once for the server.
func (s *Server) Template(tb testing.TB, prepare func(url string)) string {
	tb.Helper()
	s.template.Do(func() {
		s.exec(tb, "CREATE DATABASE template")
		prepare(s.url("template"))
	})
	return s.url("template")
}

func (s *Server) create(tb testing.TB, how string) string {
	tb.Helper()
	name := fmt.Sprintf("test%d", s.dbs.Add(1))
	s.exec(tb, "CREATE DATABASE "+name+how)
	tb.Cleanup(func() { s.exec(tb, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return s.url(name)
}

func (s *Server) url(database string) string {
	q := url.Values{"host": {s.dir}, "user": {"postgres"}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

func (s *Server) exec(tb testing.TB, sql string) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, sql); err != nil {
		tb.Fatal(err)
	}
}

// binary finds a program of PostgreSQL.
func binary(name string) (string, error) {
	if dir := os.Getenv("LOCKSTEP_POSTGRES_BIN"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	// Debian keeps them out of PATH; the newest version is the last.
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", errAbsent
	}
	return found[len(found)-1], nil
}

func start(ctx context.Context, o Options) (_ *Server, err error) {
	initdb, err := binary("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := binary("postgres")
	if err != nil {
		return nil, err
	}
	// A socket's path is short: not the test's own folder.
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	who, err := unprivileged(dir)
	if err != nil {
		return s, err
	}
	data := filepath.Join(dir, "data")
	init := exec.CommandContext(ctx, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	init.Dir, init.SysProcAttr = dir, attributes(who, false)
	if out, err := init.CombinedOutput(); err != nil {
		return s, fmt.Errorf("initdb: %w: %s", err, out)
	}
	fsync := "off"
	if o.Durable {
		fsync = "on"
	}
	s.who = who
	s.args = []string{
		postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=" + fsync,
		"-c", "full_page_writes=" + fsync, "-c", "max_connections=200", "-c", "shared_buffers=128MB",
		"-c", "max_wal_size=2GB", "-c", "log_min_messages=warning", "-c", "autovacuum_naptime=5s",
	}
	return s, s.launch(ctx)
}

func (s *Server) launch(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, attributes(s.who, true)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.dead = make(chan struct{})
	if err := launch(s.cmd, s.dead); err != nil {
		s.cmd = nil
		return err
	}
	return s.await(ctx)
}

// Crash ends the server as a power cut would end the process, and starts it again.
func (s *Server) Crash(tb testing.TB) {
	tb.Helper()
	_ = s.cmd.Process.Signal(stopSignal)
	<-s.dead
	if err := s.launch(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, s.url("postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.dead:
			out, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("postgres ended: %s", out)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		}
	}
}

func (s *Server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(stopSignal)
		<-s.dead
	}
	_ = os.RemoveAll(s.dir)
}

// account is the user a server runs as: it refuses to be root.
type account struct{ uid, gid uint32 }

// unprivileged gives dir to the account that the server is to run as; nil is our own.
func unprivileged(dir string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			return nil, err
		}
		return &account{uint32(uid), uint32(gid)}, os.Chown(dir, uid, gid)
	}
	return nil, errors.New("no account to run PostgreSQL as")
}
