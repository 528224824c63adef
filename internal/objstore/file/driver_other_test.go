//go:build !linux

package file

import "time"

const hasChangeTime = false

func slowly(d dir) dir { return d }

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
