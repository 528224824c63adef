package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
	"github.com/lockstep-sync/lockstep/test/bench/limit"
	"github.com/lockstep-sync/lockstep/test/bench/memserver"
	"github.com/lockstep-sync/lockstep/test/bench/verify"
	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// The buckets, on whichever servers.
const (
	srcBucket = "bench-src"
	dstBucket = "bench-dst"
)

// steps run as processes of their own, so that their memory does not become the
// floor of what is measured: a child's peak begins with its parent's.
var steps map[string]func(ctx context.Context, args []string, out io.Writer) error

func init() { // steps refers to itself through the harness that starts them
	steps = map[string]func(context.Context, []string, io.Writer) error{
		"serve":  serveStep,
		"fill":   fillStep,
		"mutate": mutateStep,
		"purge":  purgeStep,
		"limit":  limitStep,
		"verify": verifyStep,
	}
}

// stepFlags are what all steps but serve share. Credentials come from the AWS variables.
type stepFlags struct {
	*flag.FlagSet
	src, dst    string // endpoints
	concurrency int
}

func newStepFlags(name string) *stepFlags {
	f := &stepFlags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.StringVar(&f.src, "src", "", "source endpoint")
	f.StringVar(&f.dst, "dst", "", "destination endpoint")
	f.IntVar(&f.concurrency, "c", 16, "concurrent requests")
	return f
}

func (f *stepFlags) client(endpoint string) (*bare.Client, error) {
	return bare.New(bare.Config{
		Endpoint:    endpoint,
		AccessKey:   os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretKey:   os.Getenv("AWS_SECRET_ACCESS_KEY"),
		Connections: f.concurrency,
	})
}

func (f *stepFlags) clients() (src, dst *bare.Client, err error) {
	if src, err = f.client(f.src); err != nil {
		return nil, nil, err
	}
	dst, err = f.client(f.dst)
	return src, dst, err
}

func serveStep(ctx context.Context, args []string, _ io.Writer) error {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	addr := f.String("addr", "127.0.0.1:0", "listen address")
	delay := f.Duration("delay", 0, "waited before each answer")
	if err := f.Parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(40) // nearly all of the heap is object data
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: memserver.New(memserver.Config{Delay: *delay}), ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fillStep makes both buckets and fills the source.
func fillStep(ctx context.Context, args []string, out io.Writer) error {
	f := newStepFlags("fill")
	data := f.String("data", "", "data set; none makes empty buckets")
	scale := f.Float64("scale", 1, "scale of the number of objects")
	if err := f.Parse(args); err != nil {
		return err
	}
	src, dst, err := f.clients()
	if err != nil {
		return err
	}
	if err := dst.CreateBucket(ctx, dstBucket); err != nil || *data == "" {
		return err
	}
	objects, err := workload.Data(*data).Objects(*scale)
	if err != nil {
		return err
	}
	if err := workload.Fill(ctx, src, srcBucket, objects, f.concurrency); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d objects\n", len(objects))
	return err
}

// mutateStep rewrites some of the source.
func mutateStep(ctx context.Context, args []string, _ io.Writer) error {
	f := newStepFlags("mutate")
	seed := f.Uint64("seed", 1, "which objects, and what content")
	if err := f.Parse(args); err != nil {
		return err
	}
	src, err := f.client(f.src)
	if err != nil {
		return err
	}
	return workload.Mutate(ctx, src, srcBucket, *seed, f.concurrency)
}

// purgeStep empties the destination.
func purgeStep(ctx context.Context, args []string, _ io.Writer) error {
	f := newStepFlags("purge")
	if err := f.Parse(args); err != nil {
		return err
	}
	dst, err := f.client(f.dst)
	if err != nil {
		return err
	}
	return workload.Purge(ctx, dst, dstBucket, f.concurrency)
}

func limitStep(ctx context.Context, args []string, out io.Writer) error {
	f := newStepFlags("limit")
	job := limit.Job{SrcBucket: srcBucket, DstBucket: dstBucket}
	f.BoolVar(&job.ListOnly, "list-only", false, "compare, copy nothing")
	f.BoolVar(&job.NoDstList, "no-dst-list", false, "take the destination for empty")
	f.BoolVar(&job.ServerSide, "server-side", false, "have the service copy")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if job.Src, job.Dst, err = f.clients(); err != nil {
		return err
	}
	job.Concurrency = f.concurrency
	result, err := limit.Run(ctx, job)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// verifyStep fails unless the destination equals the source.
func verifyStep(ctx context.Context, args []string, out io.Writer) error {
	f := newStepFlags("verify")
	content := f.Bool("content", false, "compare bytes where ETags cannot be compared")
	if err := f.Parse(args); err != nil {
		return err
	}
	src, dst, err := f.clients()
	if err != nil {
		return err
	}
	result, err := verify.Equal(ctx, verify.Bucket{Client: src, Name: srcBucket}, verify.Bucket{Client: dst, Name: dstBucket}, *content)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, result)
	return err
}

func formatScale(scale float64) string { return strconv.FormatFloat(scale, 'g', -1, 64) }
