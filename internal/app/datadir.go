package app

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// lockData makes the data directory, for this user alone, and locks it until the
// returned file is closed or the process ends. A second process over one SQLite database
// would work the same lanes. exclusive is false when the database is elsewhere.
func lockData(dir string, exclusive bool) (*os.File, error) {
	unusable := func(err error) error {
		return &task.Error{
			Kind: task.Invalid, Code: "DATA_UNUSABLE", Text: fmt.Sprintf("the data directory %s cannot be used: %v", dir, err),
			Next: "give --data a directory this user may write to", Err: err,
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unusable(err)
	}
	if !exclusive {
		return f, nil
	}
	if err := tryLock(f); err != nil {
		_ = f.Close()
		return nil, &task.Error{
			Kind: task.Conflict, Code: "DATA_IN_USE", Text: "another lockstep uses the data directory " + dir,
			Next: "end it, or give --data another directory", Err: err,
		}
	}
	return f, nil
}
