// Package npm installs other people's clients from npm for tests, at the versions that a
// lock file pins: once, in a cache outside the tree. Their install scripts never run.
package npm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Words in LOCKSTEP_REQUIRE that make the absence of node a failure: for the clients of
// every test run, and for the further ones of the slow run.
const (
	Node    = "node"
	Interop = "interop"
)

const requireEnv = "LOCKSTEP_REQUIRE"

// Install returns a directory in which the packages are installed that the package.json
// and package-lock.json in dir name. It skips the test in short runs, in runs that
// LOCKSTEP_REQUIRE limits to other words, and, unless that has the word, without node.
func Install(tb testing.TB, word, dir string) string {
	tb.Helper()
	names, limited := os.LookupEnv(requireEnv)
	required := slices.Contains(strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == ' ' }), word)
	switch {
	case testing.Short() && !required:
		tb.Skip("short: no clients from npm")
	case limited && !required:
		tb.Skipf("%s=%s leaves this client from npm out of the run", requireEnv, names)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if required {
				tb.Fatalf("%v: install Node.js 20.19 or later", err)
			}
			tb.Skipf("%v: install Node.js 20.19 or later to have this test", err)
		}
	}
	at, err := install(tb.Context(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// install is done when its directory exists: it gets its name last.
func install(ctx context.Context, dir string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return "", err
		}
		sum.Write(files[name])
	}
	at := filepath.Join(cache, hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, "installing-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), text, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci of %s: %w\n%s", dir, err, out)
	}
	if err := os.Rename(tmp, at); err != nil && !errors.Is(err, os.ErrExist) {
		if _, there := os.Stat(at); there != nil { // another test was not quicker
			return "", err
		}
	}
	return at, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("LOCKSTEP_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return filepath.Join(dir, "npm"), err
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory (or set LOCKSTEP_CACHE): %w", err)
	}
	return filepath.Join(dir, "lockstep", "npm"), nil
}
