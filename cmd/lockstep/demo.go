package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// demo is what the flags of lockstep demo say.
type demo struct {
	dir     string
	listen  string
	lasts   time.Duration
	verbose bool
	given   bool // the address was: do not look for another
}

func (c *cli) demoCommand() *cobra.Command {
	var d demo
	cmd := &cobra.Command{
		Use:   "demo [--dir DIR] [--listen HOST:PORT]",
		Short: "Runs everything in one, with sample data: nothing to install or set up",
		Example: `  lockstep demo
  lockstep demo --dir ./demo --for 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.given = cmd.Flags().Changed("listen")
			return c.demo(cmd.Context(), d)
		},
	}
	f := cmd.Flags()
	f.StringVar(&d.dir, "dir", "", "keep everything in this directory, and go on with it the next time (default a temporary one)")
	f.StringVar(&d.listen, "listen", defaultListen, "address to answer on")
	f.DurationVar(&d.lasts, "for", 0, "end after this long (default when interrupted)")
	f.BoolVar(&d.verbose, "verbose", false, "show the service's log")
	return cmd
}

func (c *cli) demo(ctx context.Context, d demo) (err error) {
	dir := d.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "lockstep-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	cfg := app.DemoConfig{Dir: dir, ServeConfig: app.ServeConfig{Serve: config.Serve{Listen: d.listen}, Version: thisBuild().Version}}
	if d.verbose {
		cfg.Log = serviceLog(c.stderr, "text", true)
	}
	s, err := app.NewDemo(ctx, cfg)
	if told, ok := errors.AsType[*task.Error](err); ok && told.Code == "CANNOT_LISTEN" && !d.given {
		cfg.Listen = "127.0.0.1:0"
		s, err = app.NewDemo(ctx, cfg)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, release := interruptible(ctx, &screen{w: c.stderr})
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if d.lasts > 0 {
		time.AfterFunc(d.lasts, stop)
	}
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(running) })
	g.Go(func() error {
		err := c.show(running, s)
		if ctx.Err() != nil {
			return nil // it was to end
		}
		return err
	})
	return g.Wait()
}

// show tells what the demo does, until ctx ends.
func (c *cli) show(ctx context.Context, s *app.Demo) error {
	fmt.Fprintf(c.stdout, "✓ two directories as buckets in %s: src with 1,000 objects; dst, where 3 of them cannot go\n", s.Dir)
	fmt.Fprintf(c.stdout, "✓ task demo: disk:src → disk:dst, without *.tmp     %s\n\n", s.URL())
	begun := time.Now()
	job, err := s.Scan(ctx, func(task.Counts) {})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s  %s   scan, %s\n", clock(), countsLine(job.Counts), formatDuration(time.Since(begun)))
	c.tryNext(s)
	for ctx.Err() == nil {
		key, took, err := s.Change(ctx)
		if err != nil {
			return err
		}
		counts, err := s.Settled(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "%s  %s   event %s: at the destination after %.1f ms\n", clock(), countsLine(counts), key, float64(took.Microseconds())/1000)
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

func clock() string { return time.Now().Format(time.TimeOnly) }

// countsLine is the equality that always holds.
func countsLine(n task.Counts) string {
	return fmt.Sprintf("requested %s = synced %s + ignored %s + failed %s + pending %s",
		formatCount(n.Requested), formatCount(n.Synced), formatCount(n.Ignored), formatCount(n.Failed), formatCount(n.Pending()))
}

// tryNext names commands for another terminal.
func (c *cli) tryNext(s *app.Demo) {
	fmt.Fprint(c.stdout, "\ntry in another terminal:\n")
	if k := s.FirstKey(); !k.Secret.Empty() {
		fmt.Fprintf(c.stdout, "  export LOCKSTEP_URL=%s LOCKSTEP_ACCESS_KEY=%s LOCKSTEP_SECRET_KEY=%s\n", s.URL(), k.ID, k.Secret.Reveal())
	} else {
		fmt.Fprintf(c.stdout, "  export LOCKSTEP_URL=%s    # and the access key that the first start printed\n", s.URL())
	}
	name := self(os.Args[0])
	t := table(c.stdout, "")
	for _, try := range [][2]string{
		{name + " status demo", "is it in step, how far behind, what failed"},
		{name + " explain demo photos/a+b.jpg", "both sides of one object, the verdict, the rule"},
		{name + " explain demo " + s.Blocked(), "one that failed: why, and what was tried"},
		{"rm -r " + s.InTheWay(), "what is in the way of the failed ones"},
		{name + " retry demo --wait", "the failed ones again"},
		{name + " prove demo", "counts every record again"},
	} {
		t.row("  "+try[0], "# "+try[1])
	}
	_ = t.Flush() // a lost screen does not stop the demo
	fmt.Fprint(c.stdout, "Ctrl-C ends it. What follows are events: an object changes at the source every 2 s.\n\n")
}
