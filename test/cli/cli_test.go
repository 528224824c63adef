// Package cli runs the lockstep command as users do, by scripts in testdata.
package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	_ "github.com/lockstep-sync/lockstep/internal/app" // see dependOnCommand
	"github.com/lockstep-sync/lockstep/internal/history"
)

// bin is the directory of the lockstep binary under test.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lockstep-cli-*")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing depends on it
	build := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(dir, "lockstep"), "../../cmd/lockstep")
	if out, err := build.CombinedOutput(); err != nil {
		log.Printf("build lockstep: %v\n%s", err, out)
		return 1
	}
	bin = dir
	return m.Run()
}

// dependOnCommand makes cached results of these tests depend on the command's
// source, which they do not import: go test notes what files a test looks at. The
// packages behind the command are imported, if only for this.
func dependOnCommand(t *testing.T) {
	t.Helper()
	sources, err := filepath.Glob("../../cmd/lockstep/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("the command's source is not there: %v", err)
	}
	for _, name := range sources {
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	dependOnCommand(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			silent, err := silentServer(e)
			if err != nil {
				return err
			}
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("SILENT", silent)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"lockstep": lockstep,
			"verify":   verify,
			"await":    await,
			"lines":    lines,
			"fill":     fill,
		},
	})
}

// silentServer returns the address of a server that accepts connections and
// never says a word.
func silentServer(e *testscript.Env) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return "", err
	}
	e.Defer(func() { _ = l.Close() })
	return l.Addr().String(), nil
}

// longest bounds every run: also a store that does not answer is an answer within
// 10 s, start of the process and load of the machine not counted.
const longest = 15 * time.Second

// lockstep CODE ARG… runs lockstep and wants the exit code.
func lockstep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: lockstep CODE ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	start := time.Now()
	err = ts.Exec("lockstep", args[1:]...)
	var exit *exec.ExitError
	switch got := 0; {
	case errors.As(err, &exit):
		if got = exit.ExitCode(); got != want {
			ts.Fatalf("exit code %d, want %d", got, want)
		}
	case err != nil:
		ts.Fatalf("%v", err)
	case want != 0:
		ts.Fatalf("exit code 0, want %d", want)
	}
	if took := time.Since(start); took > longest {
		ts.Fatalf("took %v", took)
	}
}

// verify DIR recounts and rehashes a report; ! verify DIR wants it to be found wrong.
func verify(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: verify DIR")
	}
	switch m, err := history.VerifyReport(ts.MkAbs(args[0])); {
	case neg && err == nil:
		ts.Fatalf("the report verifies")
	case !neg && err != nil:
		ts.Fatalf("%v", err)
	case err == nil && (m.Source == "" || m.Destination == "" || m.Ended.Before(m.Started)):
		ts.Fatalf("the manifest lacks something: %+v", m)
	}
}

// await PATTERN waits until a file matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await PATTERN")
	}
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if found, err := filepath.Glob(ts.MkAbs(args[0])); err == nil && len(found) > 0 {
			return
		}
	}
	ts.Fatalf("nothing matches %s", args[0])
}

// lines COUNT REGEXP PATTERN wants COUNT lines like REGEXP in the files that match PATTERN.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: lines COUNT REGEXP PATTERN")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	like, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	names, err := filepath.Glob(ts.MkAbs(args[2]))
	ts.Check(err)
	var got int
	for _, name := range names {
		got += len(like.FindAllString(ts.ReadFile(name), -1))
	}
	if got != want {
		ts.Fatalf("%d lines match %s in %q, want %d", got, args[1], names, want)
	}
}

// fill DIR COUNT SIZE makes files 0000, 0001, … of SIZE bytes.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fill DIR COUNT SIZE")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	for i := range count {
		body := make([]byte, size)
		for j := range body {
			body[j] = byte(i + j)
		}
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d", i)), body, 0o600))
	}
}
