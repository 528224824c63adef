package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

const (
	missingObjects = 20_000
	posters        = 64
)

// TestServiceKilled kills the service again and again while clients post events and a
// scan of many missing objects runs. Nothing that was accepted may be lost, and all counts
// must add up after every start.
func TestServiceKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	killService(t, 20)
}

// TestInteropServiceKilled is the same for longer.
func TestInteropServiceKilled(t *testing.T) {
	interopOnly(t)
	killService(t, 50)
}

func killService(t *testing.T, rounds int) {
	t.Parallel()
	s := newService(t)
	store := t.TempDir()
	source := filepath.Join(store, "source")
	src, _ := dirBucket(t, source)
	fillDir(t, source, missingObjects, 100)
	dst, to := s3Bucket(t, s3server.VersityGW(t), "versitygw", "destination")
	s.start()
	s.endpointOf("disk", side{url: "file://" + store})
	s.endpointOf("remote", to)
	s.newTask("main", "disk:source", "remote:destination", map[string]any{"concurrency": 16})
	scan := s.scan("main")
	s.until("the scan has compared its first page", func() bool { return s.job(scan.ID).Counts.Requested > 0 })

	// What is posted comes before all that the scan has still to see.
	p := startPosters(s, filepath.Join(source, "!events"))
	var starts []time.Duration
	for range rounds {
		waitRandom(t, 3*time.Second) // shorter and longer than leases last after a crash
		s.kill()
		starts = append(starts, s.start())
		s.prove("main")
	}
	accepted := p.stop()
	total := s.settled("main")
	s.until("the scan ends", func() bool { return s.job(scan.ID).State == "done" })
	if j := s.job(scan.ID); j.Counts.Synced != missingObjects || j.Counts.Failed != 0 {
		t.Errorf("the scan ended %+v, want %d synced", j, missingObjects)
	}
	if total.Requested < accepted+missingObjects || total.Failed != 0 {
		t.Errorf("%+v after %d accepted events and a scan of %d", total, accepted, missingObjects)
	}
	s.prove("main")
	wantSameBut(t, list(t, src), list(t, dst), "oms/sync_task/")
	wantSameBytes(t, src, dst, 10)
	if missing := missingAfter(t, p, dst); missing > 0 {
		t.Errorf("%d accepted changes are not at the destination", missing)
	}
	slices.Sort(starts)
	t.Logf("%d kills, %d keys accepted, restart %v at the median, %v at most", rounds, accepted, starts[len(starts)/2], starts[len(starts)-1])
	if starts[len(starts)/2] > 2*time.Second {
		t.Errorf("restarts take %v at the median", starts[len(starts)/2])
	}
	s.stop()
}

// postersRun are clients that change objects and say so, over and over.
type postersRun struct {
	dir      string
	s        *service
	accepted atomic.Int64
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	last     [posters]sync.Map // file name → what was accepted last
}

// startPosters begins: each client has three objects of its own.
func startPosters(s *service, dir string) *postersRun {
	s.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	p := &postersRun{dir: dir, s: s, cancel: cancel}
	for i := range posters {
		p.wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				p.post(ctx, i, n)
			}
		})
	}
	s.Cleanup(func() { cancel(); p.wg.Wait() })
	return p
}

// post changes an object and posts its event until it is accepted.
func (p *postersRun) post(ctx context.Context, i, n int) {
	name := fmt.Sprintf("p%02d-%d", i, n%3)
	body := fmt.Appendf(nil, "%s version %d", name, n)
	if err := writeOver(filepath.Join(p.dir, name), body); err != nil {
		p.s.Error(err)
		return
	}
	for {
		// A client that asked finishes asking: what it is not told of, it cannot rely on.
		status, answer, err := p.s.try(context.WithoutCancel(ctx), http.MethodPost, "/api/v1/tasks/main/events", map[string]any{"keys": []string{"!events/" + name}})
		switch {
		case err == nil && status/100 == 2:
			p.accepted.Add(1)
			p.last[i].Store(name, body)
			return
		case err == nil && status != http.StatusServiceUnavailable:
			p.s.Errorf("event: %d %s", status, answer)
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.s.Context().Done():
			return
		}
	}
}

func (p *postersRun) stop() (accepted int64) {
	p.cancel()
	p.wg.Wait()
	return p.accepted.Load()
}

// missingAfter counts objects whose last accepted change is not at the destination.
func missingAfter(t *testing.T, p *postersRun, dst objstore.Bucket) (missing int) {
	t.Helper()
	for i := range p.last {
		p.last[i].Range(func(name, body any) bool {
			if got := read(t, dst, "!events/"+name.(string)); !bytes.Equal(got, body.([]byte)) {
				t.Logf("%s holds %q, want %q", name, got, body)
				missing++
			}
			return true
		})
	}
	return missing
}

// waitRandom waits up to most, to hit any moment.
func waitRandom(t *testing.T, most time.Duration) {
	t.Helper()
	select {
	case <-time.After(rand.N(most)):
	case <-t.Context().Done():
	}
}

// wantSameBut compares two listings by key and size; keys below prefix do not count.
func wantSameBut(t *testing.T, src, dst map[string]objstore.Object, prefix string) {
	t.Helper()
	for key, o := range src {
		switch other, ok := dst[key]; {
		case !ok:
			t.Errorf("%q is missing at the destination", key)
		case other.Size != o.Size:
			t.Errorf("%q has %d bytes at the destination, %d at the source", key, other.Size, o.Size)
		}
	}
	for key := range dst {
		if _, ok := src[key]; !ok && !strings.HasPrefix(key, prefix) {
			t.Errorf("%q is at the destination alone", key)
		}
	}
}

// wantSameBytes compares the contents of one object in so many.
func wantSameBytes(t *testing.T, src, dst objstore.Bucket, oneIn int) {
	t.Helper()
	n := 0
	for _, key := range slices.Sorted(maps.Keys(list(t, src))) {
		if n++; n%oneIn == 0 && !bytes.Equal(read(t, src, key), read(t, dst, key)) {
			t.Errorf("%q differs", key)
		}
	}
}
