package main

import "syscall"

// ownSession gives a child a session of its own, by which Linux shares out processor
// time, and ends it with this process.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
