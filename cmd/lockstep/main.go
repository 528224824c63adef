// Command lockstep keeps object stores in step. Each subcommand has a file of its
// own; what they do is in package app.
//
// Exit codes: 0 in step, 1 error or stopped by the user, 2 finished with failures,
// 3 a guard stopped the run.
package main

import (
	"context"
	"io"
	"os"
	_ "time/tzdata" // for machines without a time zone database

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lockstep-sync/lockstep/internal/app"
)

// Exit codes of every subcommand.
const (
	exitInStep   = 0
	exitError    = 1
	exitFailures = 2
	exitGuard    = 3
)

func main() {
	c := &cli{
		stdout: os.Stdout, stderr: os.Stderr, env: os.Getenv, terminal: stderrTerminal(),
		newSync: func(ctx context.Context, cfg app.SyncConfig) (syncRun, error) { return app.NewSync(ctx, cfg) },
	}
	os.Exit(c.run(context.Background(), os.Args[1:]))
}

// cli is what a subcommand has of the world around it.
type cli struct {
	stdout, stderr io.Writer
	env            func(string) string
	terminal       *terminal // behind stderr; nil when it is a pipe or a file
	newSync        newSyncFunc
	code           int // exit code of the subcommand, when it returned no error
}

// newSyncFunc is app.NewSync.
type newSyncFunc func(context.Context, app.SyncConfig) (syncRun, error)

// run executes one command line and returns the exit code.
func (c *cli) run(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:           "lockstep",
		Short:         "Keeps object stores in step, and can prove it",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	root.AddCommand(c.remoteCommands()...)                                                                                                         //nolint:contextcheck // cobra hands ctx to RunE
	root.AddCommand(c.syncCommand(), c.serveCommand(), c.demoCommand(), c.backupCommand(), c.restoreCommand(), c.versionCommand(), profileTopic()) //nolint:contextcheck // cobra hands ctx to RunE
	root.SetArgs(args)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	if cmd, err := root.ExecuteContextC(ctx); err != nil {
		renderError(c.stderr, asUsage(cmd, err))
		return exitError
	}
	return c.code
}

// terminal is a screen that can be drawn on.
type terminal struct {
	size   func() (width, height int)
	colour bool
}

// stderrTerminal is nil when stderr cannot move its cursor.
func stderrTerminal() *terminal {
	fd := int(os.Stderr.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &terminal{
		colour: os.Getenv("NO_COLOR") == "",
		size: func() (int, int) {
			width, height, err := term.GetSize(fd)
			if err != nil || width <= 0 || height <= 0 {
				return 80, 24
			}
			return width, height
		},
	}
}
