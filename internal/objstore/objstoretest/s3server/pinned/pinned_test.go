package pinned_test

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

func TestPins(t *testing.T) {
	t.Parallel()
	for _, p := range pinned.All() {
		if got, err := pinned.ByName(p.Name); err != nil || got != p {
			t.Errorf("ByName(%q) = %v, %v", p.Name, got, err)
		}
		if path.Base(p.Package) != p.Name {
			t.Errorf("%s: go install makes %s", p.Name, path.Base(p.Package))
		}
		file, err := p.Path()
		if err != nil || !strings.Contains(filepath.Base(file), p.Version) {
			t.Errorf("%s: path %q, %v: a changed pin would not be built", p.Name, file, err)
		}
	}
	if _, err := pinned.ByName("nobody"); err == nil {
		t.Error("ByName knows nobody")
	}
}

// TestBuild builds a program from a module proxy in a directory: once, at exactly
// the version asked for, and again when the version changes.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	proxy, modules := t.TempDir(), t.TempDir()
	t.Setenv("LOCKSTEP_CACHE", t.TempDir())
	t.Setenv("GOPROXY", "file://"+filepath.ToSlash(proxy))
	t.Setenv("GONOSUMDB", "*")
	t.Setenv("GOMODCACHE", modules)
	t.Cleanup(func() { // read-only files, which TempDir could not remove
		ctx := context.WithoutCancel(t.Context())
		if out, err := exec.CommandContext(ctx, "go", "clean", "-modcache").CombinedOutput(); err != nil {
			t.Errorf("go clean: %v\n%s", err, out)
		}
	})
	for _, version := range []string{"v1.0.0", "v1.1.0"} {
		publish(t, proxy, version)
		p := pinned.Program{Name: "hello", Package: "example.com/hello", Version: version}
		if _, ok := p.Built(); ok {
			t.Fatalf("%s is built before it is", version)
		}
		var log bytes.Buffer
		file, err := p.Build(t.Context(), &log)
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		if out, err := exec.CommandContext(t.Context(), file).Output(); err != nil || string(out) != version {
			t.Errorf("%s says %q, %v", version, out, err)
		}
		log.Reset()
		if again, err := p.Build(t.Context(), &log); err != nil || again != file || log.Len() != 0 {
			t.Errorf("second build: %q, %v, and says %q", again, err, &log)
		}
	}
	p := pinned.Program{Name: "hello", Package: "example.com/hello", Version: "v9.9.9"}
	if _, err := p.Build(t.Context(), new(bytes.Buffer)); err == nil {
		t.Error("a version that does not exist is built")
	}
	if _, ok := p.Built(); ok {
		t.Error("a failed build leaves an executable")
	}
}

// publish adds a version of example.com/hello to a proxy (go.dev/ref/mod, "GOPROXY protocol").
func publish(t *testing.T, proxy, version string) {
	t.Helper()
	const mod = "module example.com/hello\n"
	var archive bytes.Buffer
	zw := zip.NewWriter(&archive)
	for name, text := range map[string]string{
		"go.mod":  mod,
		"main.go": "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"" + version + "\") }\n",
	} {
		w, err := zw.Create("example.com/hello@" + version + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(proxy, "example.com", "hello", "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(`{"Version":"` + version + `"}`),
		version + ".mod":  []byte(mod),
		version + ".zip":  archive.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
