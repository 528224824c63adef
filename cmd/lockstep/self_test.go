package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSelf(t *testing.T) {
	dir := t.TempDir()
	onPath, other := filepath.Join(dir, "bin", "lockstep"), filepath.Join(dir, "lockstep")
	for _, p := range []string{onPath, other} {
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Dir(onPath))
	for arg0, want := range map[string]string{
		"/x/go-build123/b001/exe/lockstep": "go run ./cmd/lockstep", "lockstep": "lockstep", onPath: "lockstep", other: other,
	} {
		if got := self(arg0); got != want {
			t.Errorf("%s is %q, want %q", arg0, got, want)
		}
	}
}
