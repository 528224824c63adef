// Command bench measures Lockstep and its peers between two S3 servers on the
// loopback interface: the CPU time, peak memory and wall time of a client process
// that brings a destination bucket in step with a source bucket, as ratios to a
// program that does the least a client can do. docs/benchmarks.md explains it.
//
//	go run ./test/bench                        all workloads, Lockstep against the limit
//	go run ./test/bench -w W1,same -peers mc   two of them, and a peer
//	go run ./test/bench -quick                 does everything run and verify?
//
// It builds what it measures, starts what it needs, and ends both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		stop()
		os.Exit(1)
	}
}

// dispatch runs the harness, or one of the steps that it runs as processes of
// their own.
func dispatch(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if step, ok := steps[args[0]]; ok {
			return step(ctx, args[1:], out)
		}
	}
	opt, err := parseOptions(args)
	if err != nil {
		return err
	}
	// Linux ends a child with the thread that started it (see ownGroup): this one
	// lives as long as the harness.
	runtime.LockOSThread()
	return runBench(ctx, opt, out)
}

// runBench measures every workload, prints a table for each and says at the end
// which targets are met. It fails when a tool did, not when it was slow.
func runBench(ctx context.Context, opt options, out io.Writer) (err error) {
	b, err := newBench(ctx, opt, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	fmt.Fprintf(out, "# %s/%s, %d CPUs, %s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	var verdicts []verdict
	failed := 0
	for _, w := range opt.workloads {
		samples, err := b.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		rows := summarize(samples)
		var judged []verdict
		if opt.comparable() {
			judged = judge(w.Name, rows)
		}
		printTable(out, w, opt, rows, judged)
		verdicts = append(verdicts, judged...)
		for _, s := range samples {
			if !s.OK {
				failed++
			}
		}
	}
	if opt.comparable() {
		printVerdicts(out, verdicts)
	} else {
		fmt.Fprintln(out, "targets are for -scale 1 and -server mem: none judged")
	}
	if failed > 0 {
		return fmt.Errorf("%d runs failed or left the destination different", failed)
	}
	return nil
}
