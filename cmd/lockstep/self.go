package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// self is how a reader in another terminal of the same directory calls this program.
func self(arg0 string) string {
	if strings.Contains(filepath.ToSlash(arg0), "/go-build") {
		return "go run ./cmd/lockstep"
	}
	if found, err := exec.LookPath("lockstep"); err == nil && sameFile(found, arg0) {
		return "lockstep"
	}
	return arg0
}

// sameFile says whether the program found on the path is the one that runs.
func sameFile(found, arg0 string) bool {
	if !strings.ContainsRune(arg0, filepath.Separator) {
		return true // it was itself found there
	}
	a, err1 := os.Stat(found)
	b, err2 := os.Stat(arg0)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
