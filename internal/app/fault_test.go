package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

// fixture is one of everything a run can meet, and what must come of it.
type fixture struct {
	service  *mem.Service // set when both ends are one service
	src, dst *mem.Bucket
}

func bytesOf(n int, seed byte) []byte { return bytes.Repeat([]byte{seed, seed + 1, 0x5a}, n/3+1)[:n] }

func newFixture(t *testing.T, inside bool) *fixture {
	t.Helper()
	small := mem.WithCapabilities(func(c *objstore.Capabilities) { c.MinPart = 1 })
	f := &fixture{src: mem.New("src", small), dst: mem.New("dst", small)}
	if inside {
		f.service = mem.NewService()
		f.src, f.dst = f.service.Bucket("src", small), f.service.Bucket("dst", small)
	}
	f.put(t, f.src, "empty", nil, objstore.PutOptions{})
	f.put(t, f.src, "small", bytesOf(4096, 1), objstore.PutOptions{Meta: map[string]string{"a": "b"}})
	f.put(t, f.src, "streamed", bytesOf(300_000, 2), objstore.PutOptions{})
	f.put(t, f.src, "tagged", bytesOf(10, 3), objstore.PutOptions{Tags: map[string]string{"k": "v"}})
	f.put(t, f.src, "changed", bytesOf(5000, 4), objstore.PutOptions{})
	f.put(t, f.dst, "changed", bytesOf(6000, 5), objstore.PutOptions{})
	f.put(t, f.src, "same", bytesOf(100, 6), objstore.PutOptions{})
	f.put(t, f.dst, "same", bytesOf(100, 6), objstore.PutOptions{})
	f.put(t, f.dst, "surplus1", bytesOf(100, 7), objstore.PutOptions{})
	f.put(t, f.dst, "surplus2", bytesOf(100, 8), objstore.PutOptions{})
	f.putParts(t, "parts", bytesOf(250_000, 9), 100_000)
	return f
}

func (f *fixture) put(t *testing.T, b objstore.Bucket, key string, p []byte, opt objstore.PutOptions) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p)), opt); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) putParts(t *testing.T, key string, p []byte, size int) {
	t.Helper()
	id, err := f.src.CreateMultipart(t.Context(), key, objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var parts []objstore.Part
	for len(p) > 0 {
		n := min(size, len(p))
		part, err := f.src.PutPart(t.Context(), key, id, len(parts)+1, bytes.NewReader(p[:n]), int64(n), objstore.PartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		parts, p = append(parts, part), p[n:]
	}
	if _, err := f.src.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// run syncs the fixture through src and dst, which stand on its buckets.
func (f *fixture) run(t *testing.T, src, dst objstore.Bucket) SyncResult {
	t.Helper()
	cfg := SyncConfig{Log: slog.New(slog.DiscardHandler), Plan: plan.Options{Deletes: true, Guard: plan.Guard{MaxDeletes: -1, MaxPercent: -1}}}
	s, err := newSync(cfg, wrapStores(&cfg, src, dst))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func contents(ctx context.Context, t *testing.T, b objstore.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	for page, err := range b.List(ctx, objstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			c, err := b.Open(ctx, o.Key, objstore.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := io.ReadAll(c.Body)
			if err != nil {
				t.Fatal(err)
			}
			c.Body.Close()
			all[o.Key] = string(p)
		}
	}
	return all
}

// want fails unless destination equals source, counts are right and nothing is left over.
func (f *fixture) want(t *testing.T, res SyncResult) {
	t.Helper()
	src, dst := contents(t.Context(), t, f.src), contents(t.Context(), t, f.dst)
	if len(src) != len(dst) {
		t.Errorf("%d objects at the source, %d at the destination", len(src), len(dst))
	}
	for key, p := range src {
		if dst[key] != p {
			t.Errorf("%q differs: %d bytes at the source, %d at the destination", key, len(p), len(dst[key]))
		}
	}
	if f.dst.Uploads() != 0 {
		t.Errorf("%d uploads left", f.dst.Uploads())
	}
	p := res.Progress
	if p.Requested != 9 || p.Synced != 8 || p.Ignored != 1 || p.Failed != 0 || p.Deleted != 2 || p.Pending() != 0 {
		t.Errorf("requested %d = synced %d (deleted %d) + ignored %d + failed %d + pending %d; want 9 = 8 (2) + 1 + 0 + 0; failures %+v",
			p.Requested, p.Synced, p.Deleted, p.Ignored, p.Failed, p.Pending(), res.Failures)
	}
}

// TestFaultMatrix breaks every call of a clean run once: each write as not done
// and as done with its reply lost, each read as torn. The run must not notice.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"through": false, "inside one service": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clean [2]*faulty.Bucket
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, inside)
				clean = [2]*faulty.Bucket{faulty.New(f.src, nil), faulty.New(f.dst, nil)}
				f.want(t, f.run(t, clean[0], clean[1]))
			})
			runs := 0
			for side := range clean {
				for _, c := range faulty.Matrix(clean[side].Log()) {
					runs++
					t.Run([]string{"source ", "destination "}[side]+c.Name, func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							f := newFixture(t, inside)
							scripts := [2]faulty.Script{}
							scripts[side] = c.Script
							broken := [2]*faulty.Bucket{faulty.New(f.src, scripts[0]), faulty.New(f.dst, scripts[1])}
							f.want(t, f.run(t, broken[0], broken[1]))
							if broken[side].Fired() != 1 {
								t.Errorf("the fault happened %d times", broken[side].Fired())
							}
							for i, b := range broken {
								if n := b.OpenBodies(); n != 0 {
									t.Errorf("side %d: %d bodies left open", i, n)
								}
							}
						})
					})
				}
			}
			if runs < 15 {
				t.Errorf("only %d cases", runs)
			}
		})
	}
}

// TestRandomFaults lets one call in ten fail, each in its own way.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	seeds := uint64(50)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, seed%2 == 1)
			script := func(side uint64) faulty.Script {
				return faulty.Seeded(seed*2+side,
					faulty.Rate{Fault: faulty.Fault{Kind: faulty.Throttle}, PerMille: 30},
					faulty.Rate{Fault: faulty.Fault{Kind: faulty.NotDone}, PerMille: 50},
					faulty.Rate{Fault: faulty.Fault{Kind: faulty.ReplyLost}, Ops: []faulty.Op{faulty.Put, faulty.PutPart, faulty.Complete, faulty.Copy, faulty.Delete, faulty.DeleteMany}, PerMille: 50},
					faulty.Rate{Fault: faulty.Fault{Kind: faulty.Torn}, Ops: []faulty.Op{faulty.Open}, PerMille: 50},
					faulty.Rate{Fault: faulty.Fault{Kind: faulty.Corrupt}, Ops: []faulty.Op{faulty.Open, faulty.Put, faulty.PutPart}, PerMille: 50})
			}
			f.want(t, f.run(t, faulty.New(f.src, script(0)), faulty.New(f.dst, script(1))))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
