package tools_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/lockstep-sync/lockstep"

// TestLintCatchesSeeds lints a tree with the layout of Lockstep that holds nothing
// but seeds. A seed that is not found, and a finding nobody seeded, is a failure.
func TestLintCatchesSeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeSkeleton(t, dir)
	at := make(map[string]seed, len(seeds)) // by path
	caught := make(map[string]bool)
	for i, s := range seeds {
		pkg := fmt.Sprintf("seed%03d", i)
		path := filepath.Join(filepath.Dir(s.file), pkg, filepath.Base(s.file))
		comment := "// Package " + pkg + " is a seed.\n"
		if s.about == "ST1000" {
			comment = ""
		}
		text, err := format.Source([]byte(comment + "package " + pkg + "\n\n" + s.text))
		if err != nil {
			t.Fatalf("%s: %v", s.file, err)
		}
		write(t, dir, path, string(text))
		at[path] = s
	}
	for _, f := range lint(t, dir) {
		s, ok := at[f.Pos.Filename]
		switch {
		case !ok:
			t.Errorf("%s: %s: %s: nobody seeded this", f.Pos.Filename, f.FromLinter, f.Text)
		case s.linter == "":
			t.Errorf("%s: %s complains of what is allowed: %s", s.file, f.FromLinter, f.Text)
		case s.linter == f.FromLinter && strings.Contains(f.Text, s.about):
			caught[f.Pos.Filename] = true
		}
	}
	for path, s := range at {
		if s.linter != "" && !caught[path] {
			t.Errorf("%s: %s does not complain of %q", s.file, s.linter, s.about)
		}
	}
}

// TestEveryLinterHasItsSeed keeps .golangci.yml and the seeds together.
func TestEveryLinterHasItsSeed(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join("..", ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	seeded := make(map[string]bool)
	for _, s := range seeds {
		seeded[strings.Trim(s.about, "'")] = true
		seeded[s.linter] = true
	}
	names := 0
	for line := range strings.Lines(string(config)) {
		rule, isRule := strings.CutPrefix(line, "        ") // below rules:
		isRule = isRule && strings.HasSuffix(line, ":\n") && rule[0] != ' '
		name, isLinter := strings.CutPrefix(line, "    - ")
		if !isRule && !isLinter {
			continue
		}
		if isRule {
			name = strings.TrimSuffix(rule, ":\n")
		}
		names++
		if name = strings.TrimSpace(name); !seeded[name] {
			t.Errorf(".golangci.yml: %s has no seed in seeds_test.go", name)
		}
	}
	if names < 20 {
		t.Errorf("found %d linters and rules in .golangci.yml: does this test still read it?", names)
	}
}

// writeSkeleton makes the packages that seeds import, and minio-go's name.
func writeSkeleton(t *testing.T, dir string) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join("..", ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, ".golangci.yml", string(config))
	write(t, dir, "go.mod", "module "+module+"\n\ngo 1.26.0\n\n"+
		"require github.com/minio/minio-go/v7 v7.0.0\n\nreplace github.com/minio/minio-go/v7 => ./minio\n")
	write(t, dir, "minio/go.mod", "module github.com/minio/minio-go/v7\n")
	write(t, dir, "minio/minio.go", "package minio\n\n// V is something to use.\nvar V = 1\n")
	for p := range strings.FieldsSeq(`task plan transfer worker queue history control config secret console db db/dbtest
		api api/oms api/elastic api/didspaces api/native
		objstore objstore/s3 objstore/s3/part objstore/file objstore/mem objstore/azure objstore/gcs objstore/http objstore/limit`) {
		name := filepath.Base(p)
		write(t, dir, filepath.Join("internal", p, name+".go"), "// Package "+name+" is to be imported.\npackage "+name+"\n")
	}
}

// finding is what golangci-lint prints of one, as far as it is used here.
type finding struct {
	FromLinter, Text string
	Pos              struct{ Filename string }
}

func lint(t *testing.T, dir string) []finding {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "go", "tool", "-n", "golangci-lint").Output()
	if err != nil {
		t.Fatalf("build golangci-lint: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(path)), "run", "--show-stats=false", "--uniq-by-line=false", "--output.json.path=stdout", "./...")
	cmd.Dir = dir
	// A cache of its own, and no network: nothing here needs any.
	cmd.Env = append(os.Environ(), "GOLANGCI_LINT_CACHE="+filepath.Join(dir, ".cache"), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("golangci-lint: %v\n%s", err, &stderr)
	}
	var report struct{ Issues []finding }
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&report); err != nil {
		t.Fatalf("golangci-lint printed %q: %v\n%s", out, err, &stderr)
	}
	return report.Issues
}

func write(t *testing.T, dir, path, text string) {
	t.Helper()
	path = filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
