//go:build unix

package db

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock waits for an exclusive lock that ends with f.
func flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) }
