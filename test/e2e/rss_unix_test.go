//go:build unix

package e2e

import (
	"os"
	"syscall"
)

// maxRSS returns the peak resident memory of a finished process, in KiB on Linux.
func maxRSS(p *os.ProcessState) int64 {
	if ru, ok := p.SysUsage().(*syscall.Rusage); ok {
		return int64(ru.Maxrss)
	}
	return 0
}
