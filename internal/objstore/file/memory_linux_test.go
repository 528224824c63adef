package file

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what the process has used of the processors.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const (
	largeEnv = "LOCKSTEP_LARGE_LIST" // set to run TestLargeListMemory
	childEnv = "LOCKSTEP_LIST_CHILD" // directory the child process lists
)

// TestLargeListMemory shows that the memory of a listing does not grow with the
// directory. It makes up to a million files, so it runs only when asked for:
//
//	LOCKSTEP_LARGE_LIST=1 go test -run LargeListMemory -v ./internal/objstore/file
func TestLargeListMemory(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		b := openDir(t, dir, Options{})
		start := time.Now()
		n := count(t, b)
		fmt.Printf("listed %d wall %v cpu %v\n", n, time.Since(start).Round(time.Millisecond), cpuTime().Round(time.Millisecond))
		return
	}
	if os.Getenv(largeEnv) == "" {
		t.Skip("set " + largeEnv + " to list up to a million files")
	}
	const limit = 64 << 10 // KiB
	for _, n := range []int{100_000, 300_000, 1_000_000} {
		dir := t.TempDir()
		flat(t, dir, n)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLargeListMemory$")
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("listed %d ", n)) {
			t.Fatalf("listing %d files: %v\n%s", n, err, out)
		}
		rss := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
		line, _, _ := strings.Cut(string(out), "\n")
		t.Logf("%s, %d KiB resident", line, rss)
		if rss > limit {
			t.Errorf("listing %d files takes %d KiB, want at most %d", n, rss, limit)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
