package worker

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// How old an object is, and since when a task is proven, is said by the source's clock.
func TestScanGoesByTheSourcesClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ahead  time.Duration
		age    time.Duration // of what no event told of, by the source's clock
		missed int64
	}{
		"behind, fresh": {-2 * time.Hour, 0, 0},
		"behind, old":   {-2 * time.Hour, 5 * time.Minute, 1},
		"ahead, fresh":  {2 * time.Hour, 0, 0},
		"ahead, old":    {2 * time.Hour, 5 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, task.Options{})
			srv, src := s.clocked(c.ahead)
			s.lanes(nil)
			s.scans()
			s.janitor()
			srv.Put("bucket", "first", []byte("x"))
			srv.Put("bucket", "second", []byte("x"))
			s.scan()
			s.event("first")
			s.settled()

			s.stores.use(aged{src, time.Now().Add(c.ahead - c.age)}, nil)
			srv.Put("bucket", "untold", []byte("x"))
			j := s.scan()
			if j.Counts.Synced != 1 || j.Counts.Missed != c.missed {
				t.Errorf("%+v, want %d missed", j.Counts, c.missed)
			}
			m, err := s.db.Watermarks(t.Context(), s.task.ID)
			s.must(err)
			if off := j.StartedAt.Add(c.ahead).Sub(m.Proven); off < 0 || off > 10*time.Second {
				t.Errorf("proven to %v, want shortly before %v", m.Proven, j.StartedAt.Add(c.ahead))
			}
		})
	}
}

// clocked has a server whose clock is ahead hold the source, of which it lists an object a page.
func (s *service) clocked(ahead time.Duration) (*s3fault.Server, objstore.Bucket) {
	s.Helper()
	srv := s3fault.New(s.T, s3fault.Options{ClockAhead: ahead, PageSize: 1})
	access, secret := srv.Credentials()
	b, err := s3.Open(s3.Config{Endpoint: srv.URL, Bucket: "bucket", Provider: "aws", AccessKey: access, SecretKey: secret})
	s.must(err)
	s.Cleanup(b.Service().Close)
	s.stores.use(b, nil)
	return srv, b
}

// toldPages counts the pages committed, and those that tell the source's clock.
type toldPages struct {
	queue.Partitions
	all, told atomic.Int64
}

func (q *toldPages) CommitPage(ctx context.Context, p *queue.Partition, page queue.Page) error {
	q.all.Add(1)
	if !page.SourceTime.IsZero() {
		q.told.Add(1)
	}
	return q.Partitions.CommitPage(ctx, p, page)
}

// The clock costs a write of its own: one page of a scan has it, and a bucket on our own
// clock has none.
func TestScanTellsTheClockOnce(t *testing.T) {
	t.Parallel()
	for _, far := range []bool{true, false} {
		s := newService(t, task.Options{})
		want := int64(0)
		if far {
			want = 1
			srv, _ := s.clocked(time.Hour)
			for _, k := range keysNamed("k", 5) {
				srv.Put("bucket", k, []byte("x"))
			}
		} else {
			s.put(s.src, "k", "x")
		}
		pages := &toldPages{Partitions: s.db}
		s.start(NewScans(ScansConfig{Node: "a", Partitions: pages, Scans: s.db, Jobs: s.db, Stores: s.stores, Sweep: 50 * time.Millisecond}).Run)
		s.lanes(nil)
		s.janitor()
		j := s.scan()
		if pages.told.Load() != want || far && pages.all.Load() < 5 || j.SourceTime.IsZero() == far {
			t.Errorf("far %v: %d of %d pages tell the clock, source time %v", far, pages.told.Load(), pages.all.Load(), j.SourceTime)
		}
	}
}

// A scan that goes on elsewhere knows the source's clock from its job until a page tells it.
func TestComparisonKnowsTheClockFromItsJob(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ahead := -2 * time.Hour
	batch := Batch{Items: []plan.Item{{
		Decision: plan.Decision{Verb: plan.Copy}, Key: "k", Src: objstore.Object{Key: "k", ModTime: now.Add(ahead)}, DstAbsent: true,
	}}}
	for name, c := range map[string]struct {
		job    task.Job
		page   *time.Duration
		missed bool
		record time.Time
	}{
		"nobody tells": {job: task.Job{StartedAt: now}, missed: true},
		"the job":      {job: task.Job{StartedAt: now, SourceTime: now.Add(ahead)}},
		"the page":     {job: task.Job{StartedAt: now}, page: &ahead, record: now.Add(ahead)},
		"both":         {job: task.Job{StartedAt: now, SourceTime: now}, page: &ahead},
	} {
		batch.SrcAhead = c.page
		page := (&comparison{job: c.job, hears: true}).page(&batch)
		if page.Enqueue[0].Unheard != c.missed || !page.SourceTime.Equal(c.record) {
			t.Errorf("%s: missed %v, records %v", name, page.Enqueue[0].Unheard, page.SourceTime)
		}
	}
}
