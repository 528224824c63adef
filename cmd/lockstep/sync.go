package main

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

const syncLong = `Makes the destination like the source: copies what is missing or different there,
and with --delete removes what the source does not have. It needs no server and
leaves nothing behind unless asked to. A run that was stopped goes on when the
same command is given again.

SRC and DST are
  s3://BUCKET/PREFIX    a bucket, or the keys of it that begin with PREFIX/. The prefix
                        is a folder: "/" is added to its end. It is taken byte for byte.
  file:///DIR, ./DIR    a directory; in the URL form %20 is a space, a plain path is
                        taken as it is.

Access keys come from LOCKSTEP_SRC_ACCESS_KEY and LOCKSTEP_SRC_SECRET_KEY (and
LOCKSTEP_SRC_SESSION_TOKEN), for the destination from LOCKSTEP_DST_…; without them
from the usual AWS variables and files. They are never arguments.

--include and --exclude may be repeated and form one list, in the order given. The
first rule that matches a key decides; a key that no rule matches gets the opposite
of the last one. A rule is
  *.tmp                  the last part of the key; ? and [a-z] and {a,b} work too
  logs/*.gz, logs/**     the whole key: * stops at a slash, ** does not
  logs/                  everything below
  prefix:logs/2026-      keys that begin so, byte for byte
  size>10M  age<1h       size in bytes, K, M, G, T (of 1,024); age in s, m, h, d, w

Objects on both sides are compared by --compare
  auto         equal ETags or checksums are equal, unequal ones differ; where they
               cannot be compared, same size and destination later are equal
  size+mtime   same size and destination later are equal
  checksum     as auto, but where ETags cannot be compared both contents are read
  always       nothing is equal: everything is copied
  never        everything is equal: what exists is left alone
  oms          as size+mtime, whatever the ETags say, as Huawei OMS does; objects
               that are proved different are counted

Exit codes: 0 in step, 1 error or interrupted, 2 finished with failures, 3 stopped
by a guard before it deleted too much.`

const syncExample = `  Between two S3 servers:
    export LOCKSTEP_SRC_ACCESS_KEY=… LOCKSTEP_SRC_SECRET_KEY=…
    export LOCKSTEP_DST_ACCESS_KEY=… LOCKSTEP_DST_SECRET_KEY=…
    lockstep sync s3://photos s3://photos-copy \
      --src-endpoint https://s3.example.com --dst-endpoint http://10.0.0.7:9000

  Between two directories, with proof of what was done:
    lockstep sync ./photos /mnt/backup/photos --report ./report

  See first what would be copied and deleted:
    lockstep sync ./photos s3://photos --delete --dry-run

  Only JPEGs, and of these none below tmp/ and none over 100 MiB:
    lockstep sync ./photos s3://photos \
      --exclude tmp/ --exclude 'size>100M' --include '*.jpg'`

// syncFlags are the flags of sync as given.
type syncFlags struct {
	src, dst    config.StoreFlags
	caFile      string
	signPayload bool

	dryRun, delete   bool
	maxDelete        int64
	maxDeletePercent float64
	rules            ruleList
	compare          string

	limitRate     byteSize
	limitRequests float64
	concurrency   int

	stateFile, reportDir string
	reportUnchanged      bool
	output               output
}

// output is what of a run is shown, and how.
type output struct {
	json, quiet, verbose bool
	logFormat            string
	cpuProfile           string
}

// syncGC is how much garbage a sync lets grow, in percent of what it uses: buffers of
// parts come and go, and at Go's 100 W5 takes a tenth more memory, for no time
// that can be measured (docs/benchmarks.md, W5).
const syncGC = 60

func (c *cli) syncCommand() *cobra.Command {
	var f syncFlags
	cmd := &cobra.Command{
		Use:     "sync SRC DST",
		Short:   "Make a bucket or directory like another, once",
		Long:    syncLong,
		Example: syncExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError(cmd, fmt.Errorf("sync takes one source and one destination, %d given", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usageError(cmd, err)
			}
			cfg, err := f.config(args[0], args[1], c.env)
			if err != nil {
				return err
			}
			if c.env("GOGC") == "" {
				debug.SetGCPercent(syncGC)
			}
			return c.sync(cmd.Context(), cfg, f.output)
		},
	}
	addGroups(cmd, f.groups())
	return cmd
}

// check refuses flags that contradict each other or would mean something else
// than they seem to.
func (f *syncFlags) check() error {
	switch {
	case f.output.quiet && f.output.verbose:
		return fmt.Errorf("--quiet and --verbose contradict each other")
	case f.output.logFormat != "text" && f.output.logFormat != "json":
		return fmt.Errorf("--log-format is text or json")
	case f.maxDelete == 0 || f.maxDeletePercent == 0:
		return fmt.Errorf("a delete limit of 0 deletes nothing: leave out --delete instead")
	case f.maxDelete < -1 || f.maxDeletePercent < 0 && f.maxDeletePercent != -1:
		return fmt.Errorf("a delete limit is positive, or -1 for none")
	case f.maxDeletePercent > 100:
		return fmt.Errorf("--max-delete-percent is at most 100")
	case f.concurrency < 0 || f.limitRequests < 0:
		return fmt.Errorf("--concurrency and --limit-requests are not negative")
	case f.reportUnchanged && f.reportDir == "":
		return fmt.Errorf("--report-unchanged needs --report DIR")
	}
	return nil
}

// config resolves both stores and checks what can be checked without asking them.
func (f *syncFlags) config(src, dst string, env func(string) string) (app.SyncConfig, error) {
	cfg := app.SyncConfig{
		DryRun: f.dryRun, Concurrency: f.concurrency, BytesPerSecond: int64(f.limitRate), RequestsPerSec: f.limitRequests,
		StateFile: f.stateFile, ReportDir: f.reportDir, ReportUnchanged: f.reportUnchanged,
	}
	for _, flags := range []*config.StoreFlags{&f.src, &f.dst} {
		flags.CAFile, flags.SignPayload = f.caFile, f.signPayload
	}
	mode, err := plan.ParseMode(f.compare)
	if err != nil {
		return cfg, err
	}
	cfg.Plan = plan.Options{
		Mode: mode, Deletes: f.delete, Filter: plan.NewFilter(f.rules...),
		Guard: plan.Guard{MaxDeletes: f.maxDelete, MaxPercent: f.maxDeletePercent},
	}
	if cfg.Src, err = config.ResolveStore(config.Source, src, f.src, env); err != nil {
		return cfg, err
	}
	if cfg.Dst, err = config.ResolveStore(config.Destination, dst, f.dst, env); err != nil {
		return cfg, err
	}
	if err := config.CheckPair(cfg.Src, cfg.Dst); err != nil {
		return cfg, err
	}
	if err := config.CheckOutside("--report", f.reportDir, cfg.Src, cfg.Dst); err != nil {
		return cfg, err
	}
	return cfg, config.CheckOutside("--state", f.stateFile, cfg.Src, cfg.Dst)
}

// sync runs cfg, shows how it goes and says how it ended. It sets c.code.
func (c *cli) sync(ctx context.Context, cfg app.SyncConfig, out output) error {
	screen := &screen{w: c.stderr, terminal: c.terminal}
	cfg.Log = slog.New(logHandler(screen, out))
	ctx, release := interruptible(ctx, screen)
	defer release()

	profiled, err := startProfile(out.cpuProfile)
	if err != nil {
		return err
	}
	run, err := c.newSync(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	show := startProgress(ctx, screen, progressOptions{run: run, title: title(cfg), quiet: out.quiet})
	res, err := run.Run(ctx)
	show.stop()
	c.report(cfg, out, res, err)
	return profiled()
}

// report says how a run ended: errors on stderr, the summary on stdout; with
// --json that on stderr and one line of JSON, the last, on stdout.
func (c *cli) report(cfg app.SyncConfig, out output, res app.SyncResult, err error) {
	summaryTo := c.stdout
	if out.json {
		summaryTo = c.stderr
	}
	c.code = exitCode(res, err)
	if !out.quiet {
		writeSummary(summaryTo, cfg, res, err)
	}
	if err != nil {
		renderError(c.stderr, err)
	}
	if res.Stopped != nil {
		renderError(c.stderr, res.Stopped)
	}
	if out.json {
		writeJSON(c.stdout, cfg, res)
	}
}

// exitCode follows the rule of all subcommands. An error outweighs a guard, and a
// guard failures: each leaves more undone than the next.
func exitCode(res app.SyncResult, err error) int {
	switch {
	case err != nil, res.Stopped != nil && !plan.StoppedByGuard(res.Stopped):
		return exitError
	case res.Stopped != nil:
		return exitGuard
	case res.Failed > 0:
		return exitFailures
	}
	return exitInStep
}
