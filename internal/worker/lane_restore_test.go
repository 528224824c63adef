package worker

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// far is a server that imitates an archive, and the ends of a task there.
type far struct {
	*s3fault.Server
	src, dst objstore.Bucket
}

// archive puts the source of a task into an archive, with keys in it, and where inside is
// set the destination onto the same server.
func (s *service) archive(opt s3fault.Options, inside bool, keys ...string) far {
	s.Helper()
	opt.Archives = true
	f := far{Server: s3fault.New(s.T, opt), dst: s.dst}
	bucket := func(name string) objstore.Bucket {
		access, secret := f.Credentials()
		b, err := s3.Open(s3.Config{Endpoint: f.URL, Bucket: name, Provider: "aws", AccessKey: access, SecretKey: secret})
		s.must(err)
		s.Cleanup(b.Service().Close)
		return b
	}
	f.src = bucket("bucket")
	if inside {
		f.dst = bucket("other")
	}
	s.stores.use(f.src, f.dst)
	for _, k := range keys {
		f.Put("bucket", k, []byte("text of "+k))
		f.Archive("bucket", k)
	}
	return f
}

func quickly(total time.Duration) func(*LanesConfig) {
	return func(c *LanesConfig) { c.InFlight, c.Patience.Archived = 1, total }
}

// Archived keys wait in the queue: with one slot for all, a key behind them is copied
// while they wait. Asked for once, they are copied as they come.
func TestArchivedKeysAreRestoredAndBlockNobody(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"between": false, "inside": true} {
		for _, scanned := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newService(t, task.Options{Restore: true})
				cold := keysNamed("cold/", 20)
				srv := s.archive(s3fault.Options{}, inside, cold...)
				srv.Put("bucket", "warm", []byte("warm"))
				s.lanes(quickly(time.Minute))
				s.scans()
				if scanned {
					_, err := s.db.StartJob(t.Context(), scanStart(s), task.Actor{})
					s.must(err)
				} else {
					s.event(append(cold, "warm")...)
				}
				s.until("all are asked back, and the warm one is there", func() bool {
					return s.total().Synced == 1 && srv.Count("restore") == len(cold)
				})
				if _, there := s.text(srv.dst, "warm"); !there || s.total().Pending() != int64(len(cold)) {
					t.Errorf("while they wait: %+v, and the warm one is there: %v", s.total(), there)
				}
				for _, k := range cold {
					srv.Thaw("bucket", k)
				}
				if c := s.settled(); c.Synced != int64(len(cold))+1 {
					t.Errorf("%+v", c)
				}
				if n := srv.Count("restore"); n != len(cold) {
					t.Errorf("asked %d times for %d objects", n, len(cold))
				}
				for _, k := range cold {
					if text, _ := s.text(srv.dst, k); text != "text of "+k {
						t.Fatalf("%s holds %q", k, text)
					}
				}
				s.recount()
			})
		}
	}
}

func TestArchivedKeysThatDoNotComeBackFail(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Restore: true})
	srv := s.archive(s3fault.Options{}, false, "cold", "later")
	s.lanes(quickly(2 * time.Second))
	began := time.Now()
	r := s.event("cold", "later")
	if c := s.settled(); c.Failed != 2 {
		t.Fatalf("%+v", c)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("given up after %v", took)
	}
	s.wantReasons(r.Job, map[task.Reason]int64{task.SourceArchived: 2})
	// The store has gone on: the next event finds one of them.
	srv.Thaw("bucket", "later")
	s.event("later")
	if c := s.settled(); c.Synced != 1 {
		t.Fatalf("%+v", c)
	}
}

func TestArchivedKeysFailAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt    task.Options
		fault  s3fault.Fault
		asked  int
		reason task.Reason
	}{
		"not wanted":       {task.Options{}, s3fault.Fault{}, 0, task.SourceArchived},
		"not possible":     {task.Options{Restore: true}, s3fault.Fault{Op: "restore", Runs: -1, Status: 501, Code: "NotImplemented"}, 1, task.SourceArchived},
		"not allowed":      {task.Options{Restore: true}, s3fault.Fault{Op: "restore", Runs: -1, Status: 403, Code: "AccessDenied"}, 1, task.SourceArchived},
		"the store's away": {task.Options{Restore: true}, s3fault.Fault{Op: "restore", Runs: -1, Status: 503, Code: "ServiceUnavailable"}, 6, task.SourceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, c.opt)
			srv := s.archive(s3fault.Options{}, false, "cold")
			if c.fault.Op != "" {
				srv.Inject(c.fault)
			}
			s.lanes(quickly(time.Hour))
			r := s.event("cold")
			s.settled()
			s.wantReasons(r.Job, map[task.Reason]int64{c.reason: 1})
			if n := srv.Count("restore"); n != c.asked {
				t.Errorf("asked %d times, want %d", n, c.asked)
			}
		})
	}
}

// The time is spent in few looks, and the object is not left for long once it may be there.
func TestRestoreWaits(t *testing.T) {
	t.Parallel()
	for total, most := range map[time.Duration]int{3 * time.Minute: 15, 12 * time.Hour: 180} {
		looks := 0
		for waited := time.Duration(0); waited < total; looks++ {
			wait := restoreWait(waited, total)
			if wait <= 0 || wait > max(30*time.Second, waited/4) || wait > 5*time.Minute {
				t.Fatalf("waits %v after %v of %v", wait, waited, total)
			}
			waited += wait
		}
		if looks < 8 || looks > most {
			t.Errorf("%d looks in %v", looks, total)
		}
	}
}

// The looks at an object that is being restored leave the key all its attempts: a store that
// is away for a moment once the object is back is waited for.
func TestWaitingForAnArchiveTakesNoAttempts(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Restore: true})
	srv := s.archive(s3fault.Options{}, false, "cold")
	s.stores.use(nil, faulty.New(s.dst, func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.Put && c.Nth <= 8 { // all tries of one attempt
			return faulty.Fault{Kind: faulty.NotDone}
		}
		return faulty.Fault{}
	}))
	s.lanes(quickly(6 * time.Second))
	r := s.event("cold")
	s.until("it was looked at more often than there are attempts", func() bool { return srv.Count("get") > 4 })
	srv.Thaw("bucket", "cold")
	s.settled()
	s.wantReasons(r.Job, map[task.Reason]int64{task.Copied: 1})
}
