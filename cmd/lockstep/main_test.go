package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestMain has the runtime begin what it needs for signals: it ends the process when the
// first signal.Notify is inside a bubble of synctest.
func TestMain(m *testing.M) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	signal.Stop(signals)
	os.Exit(m.Run())
}
