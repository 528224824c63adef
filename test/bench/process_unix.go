//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
)

// killGroup kills a child and everything it started.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// peakMemory is a finished child's peak resident memory in MiB. On Linux it is
// never less than what its parent had resident when the child started.
func peakMemory(state *os.ProcessState) float64 {
	usage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	unit := 1024.0 // getrusage(2) on Linux and the BSDs: KiB
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		unit = 1 // bytes
	}
	return float64(usage.Maxrss) * unit / (1 << 20)
}
