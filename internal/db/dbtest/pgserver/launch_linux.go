package pgserver

import (
	"os/exec"
	"runtime"
	"syscall"
)

// stopSignal is PostgreSQL's immediate shutdown.
const stopSignal = syscall.SIGQUIT

// attributes of a process that runs as who; a bound one dies with ours.
func attributes(who *account, bound bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the tests
	if who != nil {
		a.Credential = &syscall.Credential{Uid: who.uid, Gid: who.gid}
	}
	if bound {
		a.Pdeathsig = stopSignal
	}
	return a
}

// launch starts cmd and closes dead when it has ended. Linux sends Pdeathsig when the
// thread that started the process ends, so that thread stays.
func launch(cmd *exec.Cmd, dead chan struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(dead)
	}()
	return <-started
}
