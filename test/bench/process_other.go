//go:build !unix

package main

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func ownSession() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

// peakMemory: not known here.
func peakMemory(*os.ProcessState) float64 { return 0 }
