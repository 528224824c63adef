package e2e

import (
	"context"
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
	// How long a whole run takes says where its middle is. Measured on a
	// destination of its own it would be truer, but the first kill corrects it.
	window := 400 * time.Millisecond
	killed := 0
	for round := 0; round < killRounds && killed < killRounds; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := command(ctx, from, to, flags...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
			round = killRounds // it finished: nothing is left to interrupt
		case <-time.After(window/4 + rand.N(window)):
			_ = cmd.Process.Kill() // SIGKILL
			<-done
			killed++
		}
		cancel()
		t.Logf("kill %d: %d objects missing", killed, wantNoneCorrupt(t, src, dst))
	}
	if killed == 0 {
		t.Fatal("no run was killed in the middle")
	}
	if out := syncOnce(t, from, to, flags...); out.code != 0 {
		t.Fatalf("the last run ended with exit %d\n%s", out.code, out.stderr)
	}
	wantEqual(t, src, dst)
}

func TestKillSmallObjectsIntoDirectory(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 20_000, 4096)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := dirBucket(t, filepath.Join(dir, "dst"))
	crash(t, src, dst, from, to)
}

func TestKillLargeObjectsIntoDirectory(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := dirBucket(t, filepath.Join(dir, "dst"))
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}

func TestKillSmallObjectsIntoVersityGW(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 20_000, 4096)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	crash(t, src, dst, from, to)
}

func TestKillLargeObjectsIntoVersityGW(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}

func TestKillLargeObjectsIntoMinIO(t *testing.T) {
	dir := t.TempDir()
	fillDir(t, filepath.Join(dir, "src"), 8, 64<<20)
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.MinIO(t), "minio", "dst")
	crash(t, src, dst, from, to, "--state", filepath.Join(dir, "state"))
}
