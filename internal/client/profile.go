package client

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Resolve takes what flags and variables leave out from a profile: a file of lines
// NAME=value with the same names as the variables, in the user's configuration directory. A
// profile that is named must be there; "default" need not.
func Resolve(cfg Config, profile string, env func(string) string) (Config, error) {
	fill := func(get func(string) string) {
		for name, field := range map[string]*string{"LOCKSTEP_URL": &cfg.URL, "LOCKSTEP_ACCESS_KEY": &cfg.AccessKey, "LOCKSTEP_SECRET_KEY": &cfg.SecretKey} {
			if *field == "" {
				*field = get(name)
			}
		}
	}
	if profile == "" {
		fill(env)
	}
	path, err := ProfilePath(profile, env)
	if err != nil {
		return cfg, err
	}
	values, err := readProfile(path)
	if errors.Is(err, fs.ErrNotExist) && profile == "" {
		return cfg, nil
	}
	if err != nil {
		return cfg, err
	}
	fill(func(name string) string { return values[name] })
	return cfg, nil
}

// ProfilePath is the file of a profile.
func ProfilePath(profile string, env func(string) string) (string, error) {
	if profile == "" {
		profile = "default"
	}
	if strings.ContainsAny(profile, `/\`) || strings.HasPrefix(profile, ".") {
		return "", &task.Error{Kind: task.Invalid, Code: "BAD_PROFILE", Text: fmt.Sprintf("%q is no name of a profile", profile), Next: "name it without slashes"}
	}
	dir := env("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env("HOME"), ".config")
	}
	return filepath.Join(dir, "lockstep", profile+".profile"), nil
}

func readProfile(path string) (map[string]string, error) {
	bad := func(text, next string, err error) error {
		return &task.Error{Kind: task.Invalid, Code: "BAD_PROFILE", Text: "the profile " + path + " " + text, Next: next, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bad("cannot be read", "make it with lines LOCKSTEP_URL=…, LOCKSTEP_ACCESS_KEY=…, LOCKSTEP_SECRET_KEY=…", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, bad("cannot be read", "", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, bad("may be read by others", "chmod 600 it: it holds a secret", nil)
	}
	values := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(name, "LOCKSTEP_") {
			return nil, bad(fmt.Sprintf("has a line %d that is not LOCKSTEP_NAME=value", n), "mend it", nil)
		}
		values[name] = strings.Trim(value, `"'`)
	}
	return values, lines.Err()
}
