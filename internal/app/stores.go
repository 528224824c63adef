package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/file"
	"github.com/lockstep-sync/lockstep/internal/objstore/limit"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// probeTimeout bounds the first question to a store: a person waits for it.
const probeTimeout = 8 * time.Second

// stores are both ends of a run, each wrapped as limit inside retry inside Sub:
// a request that waits for its next try holds no slot.
type stores struct {
	src, dst  objstore.Bucket
	dstLimits *limit.Endpoint
	drivers   []objstore.Bucket // what is below the wrappers
}

// close lets drivers that hold something, like an empty temporary directory, put it away.
func (s *stores) close() (err error) {
	for _, b := range s.drivers {
		if c, ok := b.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

// openStores opens both ends and asks each whether it is there. A destination's directory
// is made only once the source has said that it is.
func openStores(ctx context.Context, cfg *SyncConfig) (*stores, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	src, err := openStore(cfg.Src, false)
	if err == nil && cfg.Dst.Scheme == "file" {
		err = src.Probe(ctx)
	}
	if err != nil {
		return nil, storeError("source", cfg.Src, err)
	}
	dst, err := openStore(cfg.Dst, !cfg.DryRun)
	if cfg.DryRun && errors.Is(err, objstore.ErrBucketNotFound) {
		dst, err = mem.New("not made yet"), nil // what a first run would find
	}
	if err != nil {
		return nil, storeError("destination", cfg.Dst, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	if cfg.Dst.Scheme != "file" {
		g.Go(func() error { return storeError("source", cfg.Src, src.Probe(ctx)) })
	}
	g.Go(func() error { return storeError("destination", cfg.Dst, dst.Probe(ctx)) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return wrapStores(cfg, src, dst), nil
}

func wrapStores(cfg *SyncConfig, src, dst objstore.Bucket) *stores {
	bounds := limit.Config{Fixed: cfg.Concurrency, RequestsPerSec: cfg.RequestsPerSec}
	if cfg.BytesPerSecond > 0 {
		bounds.Bytes = rate.NewLimiter(rate.Limit(cfg.BytesPerSecond), int(max(leastTurn, cfg.BytesPerSecond/10)))
		fewer(&bounds, cfg.BytesPerSecond)
	}
	srcLimits := limit.New(bounds)
	dstLimits := srcLimits
	if src.Identity().Service != dst.Identity().Service {
		dstLimits = limit.New(bounds)
	}
	wrap := func(b objstore.Bucket, e *limit.Endpoint, prefix string) objstore.Bucket {
		return objstore.Sub(retry.Wrap(e.Wrap(b), retry.Policy{}), prefix)
	}
	return &stores{src: wrap(src, srcLimits, cfg.Src.Prefix), dst: wrap(dst, dstLimits, cfg.Dst.Prefix), dstLimits: dstLimits, drivers: []objstore.Bucket{src, dst}}
}

// Bodies that share a limit of bytes take turns of this many at least, and each has to have
// its turn long before a connection that stands still is given up.
const (
	leastTurn = 16 << 10
	maxTurn   = 10 // seconds from one to the next
)

// fewer bounds the requests in flight under a low limit of bytes.
func fewer(bounds *limit.Config, bytesPerSecond int64) {
	most := int(max(4, min(maxWorkers, bytesPerSecond*maxTurn/leastTurn)))
	if bounds.Fixed > 0 {
		bounds.Fixed = min(bounds.Fixed, most)
	}
	bounds.Max, bounds.Start = most, min(48, most)
}

// openStore opens one end without asking it anything. create makes a missing directory.
func openStore(st config.Store, create bool) (objstore.Bucket, error) {
	if st.Scheme == "file" {
		return file.Open(st.Dir, file.Options{Create: create})
	}
	return s3.Open(s3.Config{
		Endpoint: st.Endpoint, Region: st.Region, Bucket: st.Bucket, Provider: st.Provider,
		AccessKey: st.AccessKey, SecretKey: st.SecretKey, SessionToken: st.SessionToken, Anonymous: st.Anonymous,
		VirtualHost: st.VirtualHost, CAFile: st.CAFile, SignPayload: st.SignPayload, Override: st.Override,
	})
}

// refusals say, for each kind of first answer, what is wrong and what to do.
var refusals = []struct {
	kind             error
	class            task.Kind
	code, text, next string
}{
	{objstore.ErrBucketNotFound, task.NotFound, "BUCKET_NOT_FOUND", "the %s bucket does not exist: %s", "check the name and the endpoint, or create it first"},
	{s3.ErrNoKeys, task.Denied, "NO_STORE_KEYS", "there is no access key for the %s store: %s", "set LOCKSTEP_SRC_ACCESS_KEY and LOCKSTEP_SRC_SECRET_KEY (…DST… for the destination), or give --src-anonymous for a public bucket"},
	{objstore.ErrCredentials, task.Denied, "CREDENTIALS_REFUSED", "the %s store refuses the credentials: %s", "check the access key and the secret key of this side, and that they have not expired"},
	{objstore.ErrDenied, task.Denied, "ACCESS_DENIED", "the %s store denies listing: %s", "let this access key list the bucket (s3:ListBucket), or use another key"},
	{objstore.ErrClockSkew, task.Denied, "CLOCK_SKEW", "this machine's clock and the %s store's differ too much: %s", "set this machine's clock"},
	{objstore.ErrThrottled, task.Unavailable, "STORE_BUSY", "the %s store asks to slow down: %s", "try again in a minute"},
	{objstore.ErrUnavailable, task.Unavailable, "STORE_UNREACHABLE", "the %s store does not answer: %s", "check the endpoint address, the network and that the server is up"},
	{context.DeadlineExceeded, task.Unavailable, "STORE_UNREACHABLE", "the %s store does not answer: %s", "check the endpoint address, the network and that the server is up"},
	{objstore.ErrInvalid, task.Invalid, "STORE_REFUSES", "the %s store refuses the request: %s", "check endpoint, region and bucket name"},
}

// storeError makes what a store says at the start an error a person can act on.
func storeError(side string, st config.Store, err error) error {
	if err == nil {
		return nil
	}
	if st.Scheme == "file" && errors.Is(err, objstore.ErrDenied) {
		return &task.Error{
			Kind: task.Denied, Code: "ACCESS_DENIED", Text: fmt.Sprintf("this user may not use the %s directory: %s", side, st.String()),
			Next: "run as a user who may, or see how its file system is mounted", Err: err,
		}
	}
	for _, r := range refusals {
		if errors.Is(err, r.kind) {
			return &task.Error{Kind: r.class, Code: r.code, Text: fmt.Sprintf(r.text, side, st.String()), Next: r.next, Err: err}
		}
	}
	return &task.Error{Kind: task.Invalid, Code: "STORE_UNUSABLE", Text: fmt.Sprintf("cannot use the %s %s: %v", side, st.String(), err), Next: "check this side's address and options", Err: err}
}
