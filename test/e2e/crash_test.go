package e2e

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

// killRounds is how often a run is killed before it may finish.
const killRounds = 10

// crash kills a run again and again at a random moment. After each kill nothing
// at the destination may differ from the source; in the end one run completes.
func crash(t *testing.T, src, dst objstore.Bucket, from, to side, flags ...string) {
	t.Helper()
	window := 500 * time.Millisecond
	for killed := 0; killed < killRounds; {
		if !killOnce(t, from, to, rand.N(window), flags...) {
			window = window * 2 / 3 // it finished first: be quicker, on an empty destination
			empty(t, dst)
			continue
		}
		killed++
		missing := wantNoneCorrupt(t, src, dst)
		t.Logf("kill %d within %v: %d objects missing", killed, window, missing)
		if missing == 0 {
			empty(t, dst)
		}
	}
	if out := syncOnce(t, from, to, flags...); out.code != 0 {
		t.Fatalf("the last run ended with exit %d\n%s", out.code, out.stderr)
	}
	wantEqual(t, src, dst)
}

// killOnce starts a run and kills it after a while; false means that it had
// already ended.
func killOnce(t *testing.T, from, to side, after time.Duration, flags ...string) bool {
	t.Helper()
	cmd := command(t.Context(), from, to, flags...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // SIGKILL
	defer timer.Stop()
	return cmd.Wait() != nil
}

func TestKillSmallObjectsIntoDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 20_000, 4096)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := dirBucket(t, filepath.Join(dir, "dst"))
	crash(t, src, dst, from, to)
}

func TestKillLargeObjectsIntoDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := dirBucket(t, filepath.Join(dir, "dst"))
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}

func TestKillSmallObjectsIntoVersityGW(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 20_000, 4096)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	crash(t, src, dst, from, to)
}

func TestKillLargeObjectsIntoVersityGW(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}

func TestKillLargeObjectsIntoMinIO(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.MinIO(t), "minio", "dst")
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}
