package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
)

const (
	posters     = 64
	keysPerPost = 10
)

// events is a body for POST …/events.
func events(keys ...string) ([]byte, error) { return json.Marshal(map[string]any{"keys": keys}) }

// accept measures durable accepts over HTTP on a paused task: nothing drains meanwhile.
func accept(ctx context.Context, b *bench) error {
	w, err := b.start(ctx, "paused")
	if err != nil {
		return err
	}
	defer w.stop()
	lasts := 8 * time.Second
	if b.quick {
		lasts = 300 * time.Millisecond
	}
	before, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	begun := time.Now()
	var accepted atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	g, ctx := errgroup.WithContext(ctx)
	for p := range posters {
		g.Go(func() error {
			for n := 0; time.Since(begun) < lasts; n++ {
				keys := make([]string, keysPerPost)
				for i := range keys {
					keys[i] = fmt.Sprintf("data/%02d/%06d-%d.parquet", p, n, i)
				}
				body, err := events(keys...)
				if err != nil {
					return err
				}
				t := time.Now()
				if _, err := w.send(ctx, http.MethodPost, "/tasks/main/events", body); err != nil {
					return err
				}
				accepted.Add(keysPerPost)
				mu.Lock()
				took = append(took, time.Since(t))
				mu.Unlock()
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	wall := time.Since(begun)
	after, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	rate := float64(accepted.Load()) / wall.Seconds()
	bareRate, err := b.bareCommits(context.WithoutCancel(ctx), lasts/2)
	if err != nil {
		return err
	}
	slices.Sort(took)
	b.result("accept", fmt.Sprintf("%.0f keys/s durable over HTTP, %d posters × %d keys; answers p50 %s p99 %s; CPU %.1f µs a key",
		rate, posters, keysPerPost, percentile(took, 50), percentile(took, 99), micros(after-before)/float64(accepted.Load())), "≥ 20,000")
	b.result("", fmt.Sprintf("%.2f × a bare group-commit loop on the same engine (%.0f keys/s)", rate/bareRate, bareRate), "")
	return nil
}

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(10 * time.Microsecond)
}

func micros(d time.Duration) float64 { return float64(d.Microseconds()) }

// object is 4 KiB that differ from one version to the next.
func object() []byte {
	p := make([]byte, 4096)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	return p
}

// latency puts objects at the source one by one, says so by an event, and sees when the
// destination has them.
func latency(ctx context.Context, b *bench) error {
	w, err := b.start(ctx, "active")
	if err != nil {
		return err
	}
	defer w.stop()
	n, gap := 1500, 10*time.Millisecond
	if b.quick {
		n = 20
	}
	if _, err := w.oneEvent(ctx, "warm"); err != nil {
		return err
	}
	before, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	took := make([]time.Duration, n)
	g, running := errgroup.WithContext(ctx)
	tick := time.NewTicker(gap)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		g.Go(func() (err error) {
			took[i], err = w.oneEvent(running, fmt.Sprintf("live/%04d", i))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := w.settled(ctx, int64(n)); err != nil {
		return err
	}
	after, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	slices.Sort(took)
	b.result("latency", fmt.Sprintf("event → object visible at 100/s: p50 %s p99 %s max %s", percentile(took, 50), percentile(took, 99), took[n-1].Round(10*time.Microsecond)),
		"p50 ≤ 8 ms, p99 ≤ 30 ms")
	b.result("", fmt.Sprintf("CPU %.0f µs an event, accept to settled and listed", micros(after-before)/float64(n)), "≤ 500")
	return w.fsyncs(ctx)
}

// oneEvent puts an object, posts its event, and returns the time from there until the
// destination has it.
func (w *world) oneEvent(ctx context.Context, key string) (time.Duration, error) {
	body := object()
	if _, err := w.src.Put(ctx, srcBucket, key, bytes.NewReader(body), int64(len(body))); err != nil {
		return 0, err
	}
	event, err := events(key)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if _, err := w.send(ctx, http.MethodPost, "/tasks/main/events", event); err != nil {
		return 0, err
	}
	for {
		r, _, err := w.dst.Get(ctx, dstBucket, key)
		if err == nil {
			return time.Since(begun), r.Close()
		}
		if told, ok := errors.AsType[*bare.StatusError](err); !ok || told.Status != http.StatusNotFound {
			return 0, err
		}
		if err := wait(ctx, 500*time.Microsecond); err != nil {
			return 0, err
		}
	}
}

// fsyncs counts flushes of single events with strace, where there is one.
func (w *world) fsyncs(ctx context.Context) error {
	path, err := exec.LookPath("strace")
	if err != nil {
		w.result("", "fsyncs not counted: no strace", "")
		return nil
	}
	out, err := os.CreateTemp(w.dir, "strace-")
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // strace writes it
	trace := exec.CommandContext(ctx, path, "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", out.Name(), "-p", fmt.Sprint(w.service.Process.Pid))
	if err := trace.Start(); err != nil {
		return err
	}
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	const n = 20
	for i := range n {
		if _, err := w.oneEvent(ctx, fmt.Sprintf("traced/%d", i)); err != nil {
			return err
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	_ = trace.Process.Signal(os.Interrupt)
	_ = trace.Wait()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return err
	}
	calls := bytes.Count(text, []byte("sync(")) // not the lines that say that one was resumed
	w.result("", fmt.Sprintf("%.1f fsyncs an event when they come alone", float64(calls)/n), "≤ 3")
	return nil
}

// fill puts n objects of 4 KiB at the source.
func (w *world) fill(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	body := object()
	for i := range n {
		g.Go(func() error {
			_, err := w.src.Put(ctx, srcBucket, objectKey(i), bytes.NewReader(body), int64(len(body)))
			return err
		})
	}
	return g.Wait()
}

func objectKey(i int) string { return fmt.Sprintf("d%03d/o%06d", i/1000, i) }

// saturation posts events of existing objects as fast as they are accepted, and reads what
// the service used until all were settled.
func saturation(ctx context.Context, b *bench) error {
	w, err := b.start(ctx, "active")
	if err != nil {
		return err
	}
	defer w.stop()
	n := 40_000
	if b.quick {
		n = 500
	}
	if err := w.fill(ctx, n); err != nil {
		return err
	}
	before, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	begun := time.Now()
	var next atomic.Int64
	g, running := errgroup.WithContext(ctx)
	for range posters {
		g.Go(func() error {
			for {
				first := int(next.Add(keysPerPost)) - keysPerPost
				if first >= n {
					return nil
				}
				keys := make([]string, 0, keysPerPost)
				for i := first; i < min(n, first+keysPerPost); i++ {
					keys = append(keys, objectKey(i))
				}
				body, err := events(keys...)
				if err != nil {
					return err
				}
				if _, err := w.send(running, http.MethodPost, "/tasks/main/events", body); err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	c, err := w.settled(ctx, int64(n))
	if err != nil {
		return err
	}
	wall := time.Since(begun)
	after, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	if c.Synced != int64(n) {
		return fmt.Errorf("%+v, want %d synced", c, n)
	}
	b.result("saturation", fmt.Sprintf("%.0f events/s copied and settled, CPU %.0f µs an event", float64(n)/wall.Seconds(), micros(after-before)/float64(n)), "≤ 300 µs")
	return nil
}

// scanW1 brings 20,000 objects over by a scan of the service, and by `lockstep sync`.
func scanW1(ctx context.Context, b *bench) error {
	n := 20_000
	if b.quick {
		n = 500
	}
	w, err := b.start(ctx, "active")
	if err != nil {
		return err
	}
	defer w.stop()
	if err := w.fill(ctx, n); err != nil {
		return err
	}
	before, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := w.call(ctx, http.MethodPost, "/tasks/main/scan", nil, nil); err != nil {
		return err
	}
	c, err := w.settled(ctx, int64(n))
	if err != nil {
		return err
	}
	wall := time.Since(begun)
	after, err := cpu(w.service.Process)
	if err != nil {
		return err
	}
	if c.Synced != int64(n) {
		return fmt.Errorf("%+v, want %d synced", c, n)
	}
	alone, err := w.syncAlone(ctx)
	if err != nil {
		return err
	}
	each := micros(after-before) / float64(n)
	b.result("w1", fmt.Sprintf("CPU %.0f µs an object by a scan of the service (%.1f s), %.0f µs by lockstep sync: %.2f ×", each, wall.Seconds(), micros(alone)/float64(n),
		each/(micros(alone)/float64(n))), "≤ 1.2 ×")
	return nil
}

// syncAlone runs `lockstep sync` into a store of its own and returns its CPU time.
func (w *world) syncAlone(ctx context.Context) (time.Duration, error) {
	dst, err := w.startStore(ctx)
	if err != nil {
		return 0, err
	}
	c, err := bare.New(bare.Config{Endpoint: dst, AccessKey: accessKey, SecretKey: secretKey, Connections: 1})
	if err != nil {
		return 0, err
	}
	if err := c.CreateBucket(ctx, dstBucket); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, w.lockstep, "sync", "s3://"+srcBucket, "s3://"+dstBucket, "--src-endpoint", w.ends[0], "--dst-endpoint", dst, "--quiet")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = w.log, w.log, ownSession()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("lockstep sync: %w", err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// memory reads what the service holds when it is idle and with a million waiting keys.
func memory(ctx context.Context, b *bench) error {
	w, err := b.start(ctx, "paused")
	if err != nil {
		return err
	}
	defer w.stop()
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	idle, _, err := resident(w.service.Process)
	if err != nil {
		return err
	}
	n := 1_000_000
	if b.quick {
		n = 10_000
	}
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for first := 0; first < n; first += 1000 {
		g.Go(func() error {
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = objectKey(first + i)
			}
			body, err := events(keys...)
			if err != nil {
				return err
			}
			_, err = w.send(running, http.MethodPost, "/tasks/main/events", body)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	full, peak, err := resident(w.service.Process)
	if err != nil {
		return err
	}
	b.result("memory", fmt.Sprintf("idle %.0f MiB; with %d pending keys %.0f MiB, %.0f MiB at most while they came", idle, n, full, peak), "≤ 60, ≤ 100 MiB")
	return nil
}
