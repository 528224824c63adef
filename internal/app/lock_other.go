//go:build !unix

package app

import "os"

// tryLock locks nothing here: SQLite's own lock is all there is.
func tryLock(*os.File) error { return nil }
