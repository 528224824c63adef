package s3server_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

// victimEnv turns TestKilledProcessTakesItsServer into the process to kill.
const victimEnv = "LOCKSTEP_TEST_VICTIM"

// A test process that is killed runs no cleanup; its server must not stay behind.
func TestKilledProcessTakesItsServer(t *testing.T) {
	t.Parallel()
	if os.Getenv(victimEnv) != "" {
		fmt.Println("endpoint " + s3server.VersityGW(t).Endpoint)
		<-t.Context().Done() // never: the parent kills this process
		return
	}
	s3server.VersityGW(t) // skips, or fails, as the run demands
	host, kill := victim(t)
	kill()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
		if err != nil {
			return
		}
		_ = c.Close()
		select {
		case <-deadline.C:
			t.Fatal("the server of a killed process still serves after 10 s")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// victim starts this test in a process of its own and waits until it serves.
func victim(t *testing.T) (host string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), victimEnv+"=1", "TMPDIR="+t.TempDir()) // which nobody else would clean
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if host, ok := strings.CutPrefix(lines.Text(), "endpoint http://"); ok {
			return host, kill
		}
	}
	t.Fatal("the victim never served")
	return "", nil
}
