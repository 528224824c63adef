package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that Ctrl-C reaches
// the harness alone, and has the kernel kill the child when the harness dies.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// ownSession is ownGroup with a session of its own for what is measured. The
// kernel shares out processor time by session first (sched_autogroup): a tool
// gets its share however many servers it faces, and what it costs then does not
// depend on them.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
