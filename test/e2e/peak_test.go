package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watchPeak follows the peak resident memory of a running process until stop is
// called, which returns it in KiB; 0 where the system does not tell. The kernel's
// accounting of a finished child will not do: it begins with what the parent had
// resident when it forked.
func watchPeak(pid int) (stop func() int64) {
	quit, result := make(chan struct{}), make(chan int64)
	go func() {
		var peak int64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, residentPeak(pid))
			select {
			case <-tick.C:
			case <-quit:
				result <- peak
				return
			}
		}
	}()
	return func() int64 {
		close(quit)
		return <-result
	}
}

// residentPeak is VmHWM of a process, in KiB.
func residentPeak(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(fields[0], 10, 64)
	return kib
}
