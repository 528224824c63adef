//go:build unix && !linux

package main

import "syscall"

// ownGroup puts a child into a process group of its own. It outlives a harness
// that is killed.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ownSession is ownGroup with a session of its own for what is measured.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
