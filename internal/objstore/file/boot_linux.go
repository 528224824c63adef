package file

import (
	"os"
	"strings"
	"sync"
)

// bootID names the present boot of the system, "" when unknown.
var bootID = sync.OnceValue(func() string {
	p, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(p))
})
