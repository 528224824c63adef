package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// service is a database with one task between two buckets in memory, and the
// committer in front of it. Tests start what else they need.
type service struct {
	*testing.T
	db       *db.Store
	in       *queue.Committer
	stores   *testStores
	task     task.Task
	src, dst *mem.Bucket
	skipped  atomic.Int64 // how far the database's clock is ahead
	path     string
	// broken is told of rules that do not hold; nil: the test fails at once.
	broken func(string)
}

// template is an empty database that was migrated once for all tests.
var template struct {
	once sync.Once
	data []byte
	err  error
}

// newDatabase copies the template to path.
func newDatabase(t *testing.T, path string) error {
	template.once.Do(func() {
		first := filepath.Join(t.TempDir(), "template.db")
		d, err := db.Open(t.Context(), db.Config{Path: first})
		if err == nil {
			err = d.Close()
		}
		if err == nil {
			template.data, err = os.ReadFile(first)
		}
		template.err = err
	})
	if template.err != nil {
		return template.err
	}
	return os.WriteFile(path, template.data, 0o600)
}

// newService opens everything. The task has the given options.
func newService(t *testing.T, opt task.Options) *service {
	t.Helper()
	s := &service{T: t, src: mem.New("source"), dst: mem.New("destination")}
	s.open(opt)
	s.accept(s.db)
	return s
}

// open opens the database and makes the task.
func (s *service) open(opt task.Options) {
	s.Helper()
	s.path = filepath.Join(s.TempDir(), "lockstep.db")
	err := newDatabase(s.T, s.path)
	s.must(err)
	s.db, err = db.Open(s.Context(), db.Config{
		Path: s.path, BeginLimit: 20 * time.Second, Volatile: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(s.skipped.Load())) },
	})
	s.must(err)
	s.Cleanup(func() { s.must(s.db.Close()) })
	s.stores = &testStores{db: s.db, src: s.src, dst: s.dst}
	s.task, err = s.db.CreateTask(s.Context(), task.Task{
		Project: "p", Name: "main", Shards: 4, Origin: task.Native, Options: opt,
		Source: task.Location{Endpoint: "a", Bucket: "source"}, Destination: task.Location{Endpoint: "b", Bucket: "destination"},
	}, task.Actor{Key: "tester"})
	s.must(err)
}

// other makes another task, from the same source to a place of its own.
func (s *service) other() task.Task {
	s.Helper()
	k, err := s.db.CreateTask(s.Context(), task.Task{
		Project: "p", Name: "other", Origin: task.Native, Source: task.Location{Endpoint: "a", Bucket: "source"},
		Destination: task.Location{Endpoint: "c", Bucket: "other"},
	}, task.Actor{})
	s.must(err)
	return k
}

// accept runs the committer in front of the database.
func (s *service) accept(to queue.GroupAcceptor) {
	s.Helper()
	s.in = queue.NewCommitter(to, queue.CommitterConfig{})
	s.start(s.in.Run)
	s.until("the committer runs", func() bool {
		_, err := s.in.Accept(s.Context(), queue.Batch{Task: task.NewID(), Entries: []queue.Entry{{Key: "x"}}})
		return task.KindOf(err) == task.NotFound
	})
}

// start runs a part of the service. The returned function ends it and waits; the
// end of the test does too.
func (s *service) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(ctx); err != nil {
			s.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	s.Cleanup(stop)
	return stop
}

func (s *service) lanes(edit func(*LanesConfig)) (stop func()) {
	cfg := LanesConfig{
		Node: "a", Queue: s.db, Deletes: s.db, Wake: s.db.Wake(), Stores: s.stores,
		Patience: Patience{Attempts: 3, Base: time.Millisecond, Max: 10 * time.Millisecond}, Sweep: 50 * time.Millisecond,
	}
	if edit != nil {
		edit(&cfg)
	}
	return s.start(NewLanes(cfg).Run)
}

func (s *service) scans() {
	s.start(NewScans(ScansConfig{
		Node: "a", Partitions: s.db, Scans: s.db, Jobs: s.db, Stores: s.stores,
		Sweep: 50 * time.Millisecond, Backoff: time.Millisecond,
	}).Run)
}

func (s *service) janitor() {
	s.start(NewJanitor(JanitorConfig{Jobs: s.db, Every: 50 * time.Millisecond}).Run)
}

func (s *service) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// breaks says that a rule does not hold.
func (s *service) breaks(format string, args ...any) {
	s.Helper()
	if s.broken == nil {
		s.Fatalf(format, args...)
	}
	s.broken(fmt.Sprintf(format, args...))
}

// longest is how long a test waits for what must come: nodes that die now and then need
// long, and so does a slow machine.
const longest = 3 * time.Minute

// until waits for a state.
func (s *service) until(what string, reached func() bool) {
	s.Helper()
	give := time.Now().Add(longest)
	for !reached() {
		if time.Now().After(give) {
			s.breaks("not within %v: %s\n%+v", longest, what, s.total())
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (s *service) put(b objstore.Bucket, key, text string) {
	s.Helper()
	_, err := b.Put(s.Context(), key, strings.NewReader(text), int64(len(text)), objstore.PutOptions{})
	s.must(err)
}

// text is what a bucket holds under key; ok is false when it holds nothing.
func (s *service) text(b objstore.Bucket, key string) (text string, ok bool) {
	s.Helper()
	c, err := b.Open(context.WithoutCancel(s.Context()), key, objstore.OpenOptions{})
	if err != nil {
		return "", false
	}
	defer c.Body.Close()
	data, err := io.ReadAll(c.Body)
	s.must(err)
	return string(data), true
}

func (s *service) event(keys ...string) queue.Receipt {
	s.Helper()
	es := make([]queue.Entry, len(keys))
	for i, k := range keys {
		es[i].Key = k
	}
	for {
		r, err := s.in.Accept(s.Context(), queue.Batch{Task: s.task.ID, Entries: es})
		if errors.Is(err, errAway) {
			continue // as a client does that was told to come again
		}
		s.must(err)
		return r
	}
}

func (s *service) total() task.Counts {
	s.Helper()
	c, err := s.db.Total(context.WithoutCancel(s.Context()), s.task.ID, false)
	s.must(err)
	return c
}

// settled waits until nothing is pending.
func (s *service) settled() task.Counts {
	s.Helper()
	s.until("nothing is pending", func() bool { return s.total().Pending() == 0 })
	return s.total()
}

func (s *service) reasons(job task.JobID) map[task.Reason]int64 {
	s.Helper()
	byOutcome, err := s.db.Reasons(s.Context(), s.task.ID, job)
	s.must(err)
	out := map[task.Reason]int64{}
	for _, m := range byOutcome {
		for r, n := range m {
			out[r] += n
		}
	}
	return out
}

func (s *service) wantReasons(job task.JobID, want map[task.Reason]int64) {
	s.Helper()
	if diff := cmp.Diff(want, s.reasons(job)); diff != "" {
		s.Fatalf("reasons: %s", diff)
	}
}

// scan runs one to its end.
func (s *service) scan() task.Job {
	s.Helper()
	j, err := s.db.StartJob(s.Context(), queue.JobStart{Task: s.task.ID, Kind: task.ScanJob}, task.Actor{})
	s.must(err)
	s.until("the scan ends", func() bool {
		j, err = s.db.Job(s.Context(), j.ID)
		s.must(err)
		return j.State.Ended()
	})
	return j
}

// change edits the task.
func (s *service) change(edit func(*task.Task)) {
	s.Helper()
	k, err := s.db.Task(s.Context(), s.task.ID)
	s.must(err)
	edit(&k)
	_, err = s.db.ChangeTask(s.Context(), k, task.Actor{})
	s.must(err)
}

// prove recounts the task and its jobs, uploads all lists, and counts their lines in
// the destination bucket.
func (s *service) prove() {
	s.Helper()
	s.recount()
	u := NewUploader(UploaderConfig{Outbox: s.db, Stores: s.stores, Age: time.Nanosecond})
	s.must(u.Round(s.Context()))
	s.recount()
	p, err := s.db.ProveTask(s.Context(), s.task.ID)
	s.must(err)
	for kind, n := range p.Stored {
		if n != 0 {
			s.breaks("%d lines of kind %d were not uploaded", n, kind)
		}
	}
	lines := map[queue.ListKind]int64{}
	for kind, dir := range map[queue.ListKind]string{
		queue.ListReceived: history.ReceivedDir, queue.ListSynced: history.SyncedDir, queue.ListFailed: history.FailedDir,
		queue.ListIgnored: history.IgnoredDir, queue.ListRetried: history.RetriedDir,
	} {
		for page, err := range s.dst.List(s.Context(), objstore.ListOptions{Prefix: history.ListPlace(s.task.ID) + dir + "/"}) {
			s.must(err)
			for _, o := range page.Objects {
				text, _ := s.text(s.dst, o.Key)
				in := kind
				if strings.Contains(o.Key, "/"+history.UnstartedDir+"/") {
					in = queue.ListUnstarted
				}
				if n := int64(strings.Count(text, "\n")); n > 0 {
					lines[in] += n
				}
			}
		}
	}
	if diff := cmp.Diff(p.Uploaded, lines); diff != "" {
		s.breaks("lines in the bucket differ from what was recorded: %s", diff)
	}
}

func (s *service) recount() {
	s.Helper()
	ctx := context.WithoutCancel(s.Context())
	p, err := s.db.ProveTask(ctx, s.task.ID)
	s.must(err)
	if err := p.Check(); err != nil {
		s.breaks("task: %v\n%+v", err, p)
	}
	jobs, err := s.db.Jobs(ctx, "p", db.JobFilter{Task: s.task.ID})
	s.must(err)
	for _, j := range jobs {
		p, err := s.db.ProveJob(ctx, j.ID)
		s.must(err)
		if err := p.Check(); err != nil {
			s.breaks("job %s: %v\n%+v", j.ID, err, p)
		}
	}
}

// inStep wants the destination to hold what the source holds, and no more but lists.
func (s *service) inStep() {
	s.Helper()
	if diff := cmp.Diff(s.contents(s.src), s.contents(s.dst)); diff != "" {
		s.Fatalf("destination differs from the source: %s", diff)
	}
}

func (s *service) contents(b objstore.Bucket) map[string]string {
	s.Helper()
	all := map[string]string{}
	for page, err := range b.List(context.WithoutCancel(s.Context()), objstore.ListOptions{}) {
		s.must(err)
		for _, o := range page.Objects {
			if _, list := history.ListOwner(o.Key); !list {
				all[o.Key] = o.ETag
			}
		}
	}
	return all
}

// testStores opens every task between the same two buckets, which a test may wrap.
type testStores struct {
	db       *db.Store
	src, dst objstore.Bucket

	mu   sync.Mutex
	ends map[task.ID]*Ends
}

func (s *testStores) Open(ctx context.Context, id task.ID) (*Ends, error) {
	k, err := s.db.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.ends[id]; e != nil && e.Task.Version == k.Version {
		return e, nil
	}
	quick := retry.Policy{Attempts: 2, Base: time.Millisecond, Max: 5 * time.Millisecond}
	e, err := NewEnds(EndsConfig{
		Task: k, Src: retry.Wrap(s.src, quick), Dst: retry.Wrap(s.dst, quick),
		Ours: func(other task.ID) bool { return other == id },
	})
	if err != nil {
		return nil, err
	}
	if s.ends == nil {
		s.ends = map[task.ID]*Ends{}
	}
	s.ends[id] = e
	return e, nil
}

// use opens the tasks between other buckets from now on; nil keeps one.
func (s *testStores) use(src, dst objstore.Bucket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = nil
	if src != nil {
		s.src = src
	}
	if dst != nil {
		s.dst = dst
	}
}

// gate holds up the writes of a bucket until it is opened.
type gate struct {
	objstore.Bucket
	arrived chan string   // gets the key of every write held up
	open    chan struct{} // closed: writes pass
}

func newGate(b objstore.Bucket) *gate {
	return &gate{Bucket: b, arrived: make(chan string, 10_000), open: make(chan struct{})}
}

func (g *gate) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	data, err := io.ReadAll(body)
	if err != nil {
		return objstore.Written{}, err
	}
	g.arrived <- key
	select {
	case <-g.open:
	case <-ctx.Done():
		return objstore.Written{}, ctx.Err()
	}
	return g.Bucket.Put(ctx, key, bytes.NewReader(data), size, opt)
}

func keysNamed(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return keys
}

// aged is a bucket whose listings say that everything was written at a time.
type aged struct {
	objstore.Bucket
	at time.Time
}

func (a aged) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		for page, err := range a.Bucket.List(ctx, opt) {
			for i := range page.Objects {
				page.Objects[i].ModTime = a.at
			}
			if !yield(page, err) {
				return
			}
		}
	}
}
