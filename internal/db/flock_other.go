//go:build !unix

package db

import "os"

// flock: SQLite's own lock is all there is.
func flock(*os.File) error { return nil }
