package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// TestServiceOneKeyChangedOften changes and names one key a thousand times while scans
// run. The destination is read all the time: what it holds never grows older, and it ends
// with the last version.
func TestServiceOneKeyChangedOften(t *testing.T) {
	t.Parallel()
	changes := 1000
	if testing.Short() {
		changes = 100
	}
	for _, direction := range []string{"directory to S3", "S3 to directory", "inside S3"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			changes := changes
			if direction != "directory to S3" {
				changes /= 2
			}
			s := newService(t)
			store := t.TempDir()
			srv := s3server.VersityGW(t)
			s.start()
			s.endpointOf("disk", side{url: "file://" + store})
			dir, _ := dirBucket(t, filepath.Join(store, "bucket"))
			remote, at := s3Bucket(t, srv, "versitygw", "bucket")
			s.endpointOf("remote", at)
			src, dst := dir, remote
			switch direction {
			case "directory to S3":
				s.newTask("main", "disk:bucket", "remote:bucket", nil)
			case "S3 to directory":
				src, dst = remote, dir
				s.newTask("main", "remote:bucket", "disk:bucket", nil)
			case "inside S3":
				src = remote
				dst, _ = s3Bucket(t, srv, "versitygw", "copies")
				s.newTask("main", "remote:bucket", "remote:copies", nil)
			}
			// Other objects, so that a scan takes a while.
			for i := range 200 {
				put(t, src, fmt.Sprintf("others/%03d", i), []byte("x"))
			}
			w := watchKey(t, dst, "often")
			var scans sync.WaitGroup
			var enough atomic.Bool
			ended := 0
			scans.Go(func() {
				for !enough.Load() {
					if j := s.scanned("main"); j.State != "done" {
						t.Errorf("a scan ended %+v", j)
					}
					ended++
				}
			})
			began := time.Now()
			for n := 1; n <= changes; n++ {
				put(t, src, "often", fmt.Appendf(nil, "%d of often", n))
				s.event("main", "often")
			}
			took := time.Since(began)
			enough.Store(true)
			scans.Wait()
			s.settled("main")
			seen := w.stop()
			if got := read(t, dst, "often"); string(got) != fmt.Sprintf("%d of often", changes) {
				t.Errorf("the destination ends with %q, want the last of %d versions", got, changes)
			}
			t.Logf("%d changes in %v, %d scans, %d versions seen in %d reads", changes, took, ended, seen, w.reads)
			if seen < 2 || ended < 1 {
				t.Errorf("%d versions were seen while %d scans ended: this proves little", seen, ended)
			}
			if c := s.prove("main"); c.Failed != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// keyWatch reads one object over and over.
type keyWatch struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	seen   int // different versions
	reads  int
}

func watchKey(t *testing.T, b objstore.Bucket, key string) *keyWatch {
	ctx, cancel := context.WithCancel(t.Context())
	w := &keyWatch{cancel: cancel}
	w.wg.Go(func() {
		last := 0
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			c, err := b.Open(ctx, key, objstore.OpenOptions{})
			if err != nil {
				if last > 0 && errors.Is(err, objstore.ErrNotFound) {
					t.Errorf("%s is not there after version %d", key, last)
					return
				}
				continue
			}
			text, err := io.ReadAll(c.Body)
			c.Body.Close()
			if err != nil {
				continue
			}
			var now int
			w.reads++
			if _, err := fmt.Sscanf(string(text), "%d of often", &now); err != nil {
				t.Errorf("read %q", text)
				return
			}
			if now < last {
				t.Errorf("version %d was replaced by version %d", last, now)
			}
			if now != last {
				w.seen++
			}
			last = now
		}
	})
	t.Cleanup(func() { cancel(); w.wg.Wait() })
	return w
}

func (w *keyWatch) stop() (seen int) {
	w.cancel()
	w.wg.Wait()
	return w.seen
}

// TestServiceDeletesNothing: with deletes on, a source that is emptied, breaks off its
// listing, or vanishes, and a limit exceeded by the last keys of a listing, delete nothing;
// the scan and the status say why.
func TestServiceDeletesNothing(t *testing.T) {
	t.Parallel()
	const objects = 40
	for _, c := range []struct {
		name    string
		options s3fault.Options
		trouble func(t *testing.T, f *faultyEnd)
		state   string
		why     string // of the scan
		reason  string // of the keys named by events; "" when they may be deleted
	}{
		{"emptied", s3fault.Options{}, func(t *testing.T, f *faultyEnd) {
			for key := range list(t, f.bucket) {
				remove(t, f.bucket, key)
			}
		}, "stopped", "SOURCE_EMPTY", "GUARD_STOPPED"},
		{"listing fails half-way", s3fault.Options{PageSize: 10}, func(_ *testing.T, f *faultyEnd) {
			f.Inject(s3fault.Fault{Op: "list", Skip: 3, Runs: -1, Kind: s3fault.Answer, Status: 403, Code: "AccessDenied"})
		}, "failed", "SRC_DENIED", ""},
		{"listing torn half-way", s3fault.Options{PageSize: 10}, func(_ *testing.T, f *faultyEnd) {
			f.Inject(s3fault.Fault{Op: "list", Skip: 3, Runs: -1, Kind: s3fault.Answer, Status: 400, Code: "InvalidArgument"})
		}, "failed", "SRC_INVALID", ""},
		{"vanished", s3fault.Options{}, func(_ *testing.T, f *faultyEnd) { f.DropBucket("bucket") }, "failed", "SRC_BUCKET_MISSING", "SRC_BUCKET_MISSING"},
		{"vanished without a word", s3fault.Options{SilentMissing: true}, func(_ *testing.T, f *faultyEnd) { f.DropBucket("bucket") }, "failed", "SRC_BUCKET_MISSING", "SRC_BUCKET_MISSING"},
		{"limit exceeded at the end", s3fault.Options{PageSize: 10}, func(t *testing.T, f *faultyEnd) {
			for i := objects - 6; i < objects; i++ {
				remove(t, f.bucket, fmt.Sprintf("k%03d", i))
			}
		}, "stopped", "DELETE_LIMIT", "GUARD_STOPPED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			store := t.TempDir()
			dst, _ := dirBucket(t, filepath.Join(store, "destination"))
			f := newFaultyEnd(t, c.options)
			for i := range objects {
				put(t, f.bucket, fmt.Sprintf("k%03d", i), []byte("text"))
			}
			s.start()
			s.endpointOf("disk", side{url: "file://" + store})
			s.endpointOf("remote", f.at)
			s.newTask("main", "remote:bucket", "disk:destination", map[string]any{"deletes": true, "guard": map[string]any{"max_deletes": 5, "max_percent": -1}})
			if j := s.scanned("main"); j.State != "done" || j.Counts.Synced != objects {
				t.Fatalf("the first scan ended %+v", j)
			}
			before := list(t, dst)
			c.trouble(t, f)
			j := s.scanned("main")
			if j.State != c.state || !strings.HasPrefix(j.Why, c.why) || j.Counts.Deleted != 0 {
				t.Errorf("the scan ended %+v, want %s: %s", j, c.state, c.why)
			}
			wants(t, s.cli(2, "", "status", "main"), "the last scan did not end well", c.why)
			if c.reason != "" {
				s.eventsDelete(t, c.reason, objects)
			}
			after := list(t, dst)
			deleted := 0
			for key := range before {
				if _, there := after[key]; !there {
					deleted++
				}
			}
			// Events share a limit of their own: as many as it allows may be gone.
			most := 0
			if c.why == "DELETE_LIMIT" {
				most = 5
			}
			if deleted != most {
				t.Errorf("%d objects were deleted, want %d", deleted, most)
			}
			s.prove("main")
		})
	}
}

// eventsDelete names the last keys by events and waits for what becomes of them.
func (s *service) eventsDelete(t *testing.T, reason string, objects int) {
	t.Helper()
	var keys []string
	for i := objects - 6; i < objects; i++ {
		keys = append(keys, fmt.Sprintf("k%03d", i))
	}
	s.event("main", keys...)
	s.until("the events are refused for "+reason, func() bool {
		var r struct{ Failed, Ignored map[string]int64 }
		s.call(http.MethodGet, "/tasks/main/reasons", nil, &r)
		var st struct{ Delayed map[string]int64 }
		s.call(http.MethodGet, "/tasks/main/status", nil, &st)
		return s.counts("main").Pending == 0 && r.Ignored[reason]+r.Failed[reason] > 0 || st.Delayed[reason] > 0
	})
}

func remove(t *testing.T, b objstore.Bucket, key string) {
	t.Helper()
	if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}
