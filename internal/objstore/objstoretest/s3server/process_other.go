//go:build !linux

package s3server

import "syscall"

// dieWithParent: elsewhere a server outlives a test process that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }

// hasXattr: elsewhere the side directory works everywhere.
func hasXattr(string) bool { return false }
