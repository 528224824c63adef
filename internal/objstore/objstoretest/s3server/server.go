// Package s3server starts real S3 servers on the loopback interface, for tests.
// The servers are other people's, built at pinned versions (package pinned), with
// the data in the test's own directory; they end with the test, or with the
// process that runs it. What to expect of a store is package objstoretest's.
package s3server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

// Server is a running server. It has no bucket yet.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	Region    string
	AccessKey string
	SecretKey string
}

// Keys and region of every server here.
const (
	accessKey = "lockstep-test"
	secretKey = "lockstep-test-secret"
	region    = "us-east-1"
)

// VersityGW starts versitygw over a directory. Object metadata is kept in
// extended attributes, or beside the objects where the directory has none. flags are
// versitygw's own, before its backend.
func VersityGW(t testing.TB, flags ...string) Server {
	t.Helper()
	dir := t.TempDir()
	data := mkdir(t, dir, "data")
	posix := []string{"posix", data}
	if !hasXattr(data) {
		posix = []string{"posix", "--sidecar", mkdir(t, dir, "meta"), data}
	}
	return start(t, spec{
		program: pinned.VersityGW,
		dir:     dir,
		args: func(address string) []string {
			return slices.Concat([]string{"--port", address, "--keep-alive", "--quiet", "--health", "/health"}, flags, posix)
		},
		env:   []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
		ready: "/health",
	})
}

// MinIO starts a MinIO server with one drive. It takes long to build, so its tests
// are not part of every run: `make interop` finds them by MinIO or Interop in the
// name of their top-level test, and a test of another name fails. env is added to the
// server's environment.
func MinIO(t testing.TB, env ...string) Server {
	t.Helper()
	if name, _, _ := strings.Cut(t.Name(), "/"); !strings.Contains(name, "MinIO") && !strings.Contains(name, "Interop") {
		t.Fatalf("`make interop` would not find %s: name it %sMinIO", name, name)
	}
	dir := t.TempDir()
	data := mkdir(t, dir, "data")
	return start(t, spec{
		program: pinned.MinIO,
		dir:     dir,
		args: func(address string) []string {
			return []string{"server", "--quiet", "--certs-dir", dir, "--address", address, data}
		},
		env: append([]string{
			"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_SCANNER_SPEED=slowest",
		}, env...),
		ready: "/minio/health/ready",
	})
}

func mkdir(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
