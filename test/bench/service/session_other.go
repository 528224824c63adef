//go:build !linux

package main

import "syscall"

func ownSession() *syscall.SysProcAttr { return nil }
