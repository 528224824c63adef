// Command service measures the running service: how fast it accepts events durably, how
// soon an object is at the destination, what an event costs, and how much memory it keeps. It
// runs `lockstep serve` as a process of its own between two S3 servers that keep
// everything in memory. docs/benchmarks.md explains the figures.
//
//	go run ./test/bench/service                     everything on SQLite, then accept and drain on PostgreSQL
//	go run ./test/bench/service -engine postgres    everything on PostgreSQL
//	go run ./test/bench/service -w accept,latency   two of them
//	go run ./test/bench/service -quick              does everything run? seconds
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db/dbtest/pgserver"
	"github.com/lockstep-sync/lockstep/test/bench/memserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "memserver" {
		err = memserverStep(ctx, os.Args[2:])
	} else {
		err = run(ctx, os.Args[1:], os.Stdout)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options of a run.
type options struct {
	lockstep string // executable
	engine   string
	only     string
	quick    bool
	profile  string
	dir      string
}

// workloads in the order they run. Each starts a service of its own.
var workloads = []struct {
	name string
	do   func(context.Context, *bench) error
}{
	{"accept", accept}, {"drain", drain}, {"latency", latency}, {"saturation", saturation}, {"w1", scanW1}, {"memory", memory},
}

// bench is what the workloads share.
type bench struct {
	options
	postgres *pgserver.Server // nil: SQLite
	out      io.Writer
	log      *os.File
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	f := flag.NewFlagSet("service", flag.ContinueOnError)
	f.StringVar(&o.lockstep, "lockstep", "", "executable to measure (default: built from this module)")
	f.StringVar(&o.engine, "engine", "", "sqlite, postgres (a private server is started), default SQLite and what PostgreSQL is asked for besides")
	f.StringVar(&o.only, "w", "", "workloads, separated by commas (default all)")
	f.BoolVar(&o.quick, "quick", false, "does everything run? seconds, and no figures to quote")
	f.StringVar(&o.profile, "cpu-profile", "", "write the CPU profile of each service that ran to a file in this directory")
	f.StringVar(&o.dir, "data", "", "where the database is (default a temporary directory on disk)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "lockstep-bench-service-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	b := &bench{options: o, out: out}
	if b.log, err = os.Create(filepath.Join(o.dir, "log")); err != nil {
		return err
	}
	defer func() { _ = b.log.Close() }()
	if b.lockstep == "" {
		b.lockstep = filepath.Join(o.dir, "lockstep")
		build := exec.CommandContext(ctx, "go", "build", "-o", b.lockstep, "github.com/lockstep-sync/lockstep/cmd/lockstep")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build lockstep: %w", err)
		}
	}
	if b.engine != "postgres" {
		if err := b.all(ctx, "SQLite", nil); err != nil {
			return err
		}
	}
	if b.engine == "sqlite" {
		return nil
	}
	return b.onPostgres(ctx)
}

// onPostgres runs what is asked for on a private server. It is no error that there is no
// PostgreSQL unless it is.
func (b *bench) onPostgres(ctx context.Context) (err error) {
	b.postgres, err = pgserver.Launch(ctx, pgserver.Options{Durable: true})
	if err != nil && b.engine == "" {
		b.result("", "nothing on PostgreSQL: "+err.Error(), "")
		return nil
	}
	if err != nil {
		return err
	}
	defer b.postgres.Stop()
	if b.engine == "" {
		return b.all(ctx, "PostgreSQL", []string{"accept", "drain"})
	}
	return b.all(ctx, "PostgreSQL", nil)
}

// all runs the workloads that are asked for; among, when there are any.
func (b *bench) all(ctx context.Context, engine string, among []string) error {
	fmt.Fprintf(b.out, "# service on %s, %s/%s, %d CPUs, %s\n", engine, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	for _, w := range workloads {
		if b.only != "" && !slices.Contains(strings.Split(b.only, ","), w.name) || among != nil && !slices.Contains(among, w.name) {
			continue
		}
		if err := w.do(ctx, b); err != nil {
			return fmt.Errorf("%s: %w\n%s", w.name, err, b.tail())
		}
	}
	return nil
}

// tail is the end of what the service logged.
func (b *bench) tail() string {
	text, err := os.ReadFile(b.log.Name())
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-2000):])
}

// result prints one figure; target is empty where there is none.
func (b *bench) result(workload, figure, target string) {
	if target != "" {
		target = "   (must be " + target + ")"
	}
	fmt.Fprintf(b.out, "%-11s %s%s\n", workload, figure, target)
}

// memserverStep serves buckets in memory until it is killed.
func memserverStep(ctx context.Context, args []string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", args[0])
	if err != nil {
		return err
	}
	server := &http.Server{Handler: memserver.New(memserver.Config{}), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
