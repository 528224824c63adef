// Package pinned builds other people's programs from exact module versions, for
// tests and benchmarks only: they run as processes of their own and are never
// linked into Lockstep or shipped with it. What is built is kept in a cache.
package pinned

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Program is a Go program at an exact version. The module proxy and the checksum
// database guarantee that everybody builds the same source.
type Program struct {
	Name    string // what it is asked for by; the last element of Package
	Package string // import path of its main package
	Version string // module version, e.g. v1.8.0
	Takes   string // roughly how long the first build takes on two cores
}

// The programs. Apart from MinIO, each is at a tagged release; MinIO no longer
// tags what can be built as a module.
var (
	VersityGW = Program{"versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0", "two minutes"}
	MinIO     = Program{"minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", "ten minutes"}
	Rclone    = Program{"rclone", "github.com/rclone/rclone", "v1.76.0", "six minutes"}
	MC        = Program{"mc", "github.com/minio/mc", "v0.0.0-20250313080218-cf909e1063a9", "three minutes"}
)

// All lists the programs.
func All() []Program { return []Program{VersityGW, MinIO, Rclone, MC} }

// ByName returns the program called name.
func ByName(name string) (Program, error) {
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
	}
	return Program{}, fmt.Errorf("no pinned program is called %q", name)
}

// Dir is where executables are kept: $LOCKSTEP_CACHE, else lockstep/bin in the
// user's cache directory.
func Dir() (string, error) {
	if dir := os.Getenv("LOCKSTEP_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache directory (or set LOCKSTEP_CACHE): %w", err)
	}
	return filepath.Join(dir, "lockstep", "bin"), nil
}

// Path is where p's executable is, or will be once it is built. The version is
// part of the name, so a changed pin asks for a new build.
func (p Program) Path() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, p.Name+"@"+p.Version+exeSuffix()), nil
}

func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// Built returns the path of p's executable, and whether it is there.
func (p Program) Built() (path string, ok bool) {
	path, err := p.Path()
	if err != nil {
		return "", false
	}
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular()
}
