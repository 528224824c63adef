package secret

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// KeyVariable is the environment variable that may hold the sealing key.
const KeyVariable = "LOCKSTEP_SEAL_KEY"

// KeySize is the length of a sealing key in bytes.
const KeySize = 32

// Key is a sealing key. It prints as Redacted.
type Key struct{ bytes *[KeySize]byte }

// Format implements fmt.Formatter for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// NewKey makes a random key.
func NewKey() Key {
	k := Key{bytes: new([KeySize]byte)}
	rand.Read(k.bytes[:])
	return k
}

// ParseKey reads a key: 32 bytes as they are, or as 64 hexadecimal digits, or as base64;
// around the last two, white space is ignored. The error does not repeat it.
func ParseKey(text []byte) (Key, error) {
	raw := text
	if len(raw) != KeySize {
		trimmed := strings.TrimSpace(string(text))
		var err error
		if raw, err = hex.DecodeString(trimmed); err != nil || len(raw) != KeySize {
			if raw, err = base64.StdEncoding.DecodeString(trimmed); err != nil {
				raw, _ = base64.RawURLEncoding.DecodeString(trimmed)
			}
		}
	}
	if len(raw) != KeySize {
		return Key{}, &task.Error{
			Kind: task.Invalid, Code: "SEAL_KEY_INVALID",
			Text: fmt.Sprintf("a sealing key is %d bytes, or these in hexadecimal or base64", KeySize),
			Next: "make one with: openssl rand -hex 32",
		}
	}
	return Key{bytes: (*[KeySize]byte)(raw)}, nil
}

// Load returns the sealing key: that of the variable when it is set, else the one in the
// file, which is made with mode 0600 when it does not exist. Several processes may call
// it at once: all get the same key.
func Load(variable, path string) (Key, error) {
	if variable != "" {
		return ParseKey([]byte(variable))
	}
	k, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := makeKey(path); err != nil {
		return Key{}, fmt.Errorf("make the sealing key: %w", err)
	}
	return readKey(path)
}

func readKey(path string) (Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return Key{}, fmt.Errorf("read the sealing key: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return Key{}, fmt.Errorf("read the sealing key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return Key{}, &task.Error{
			Kind: task.Denied, Code: "SEAL_KEY_EXPOSED",
			Text: fmt.Sprintf("others may read the sealing key %s (mode %04o)", path, info.Mode().Perm()),
			Next: "chmod 600 " + path,
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return Key{}, fmt.Errorf("read the sealing key: %w", err)
	}
	k, err := ParseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// makeKey writes a new key beside path and links it there, so that a crash leaves no
// half of one and the first of several processes wins.
func makeKey(path string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".seal-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(NewKey().bytes[:])
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if runtime.GOOS == "windows" {
		err = nil // has no such thing
	}
	return errors.Join(err, d.Close())
}
