//go:build !linux

package file

// bootID is unknown here.
func bootID() string { return "" }
