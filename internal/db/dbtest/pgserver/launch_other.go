//go:build !linux

package pgserver

import (
	"os"
	"os/exec"
	"syscall"
)

const stopSignal = os.Interrupt

// attributes: running as somebody else, and dying with us, are Linux's own.
func attributes(*account, bool) *syscall.SysProcAttr { return nil }

func launch(cmd *exec.Cmd, dead chan struct{}) error {
	if err := cmd.Start(); err != nil {
		close(dead)
		return err
	}
	go func() {
		_ = cmd.Wait()
		close(dead)
	}()
	return nil
}
