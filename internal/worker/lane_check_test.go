package worker

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func scanStart(s *service) queue.JobStart { return queue.JobStart{Task: s.task.ID, Kind: task.ScanJob} }

// shrunk says once of every object that it is a byte short when it is looked at after the
// first time, as the check after the first copy does.
type shrunk struct {
	objstore.Bucket
	lies int
}

func (b *shrunk) Stat(ctx context.Context, key string) (objstore.Info, error) {
	info, err := b.Bucket.Stat(ctx, key)
	if err == nil && b.lies != 0 {
		b.lies--
		info.Size--
	}
	return info, err
}

// A copy that failed its check is made again, also where the mode leaves what is there
// alone, and is failed for good when it keeps failing.
func TestFailedChecksAreTriedAgain(t *testing.T) {
	t.Parallel()
	for mode, lies := range map[string]int{"never": 1, "checksum": 1, "oms": 1, "auto": -1} {
		s := newService(t, task.Options{Compare: mode, Verify: task.VerifySizeTime})
		s.stores.use(nil, &shrunk{s.dst, lies})
		s.put(s.src, "k", "text")
		s.lanes(nil)
		r := s.event("k")
		want := task.Copied
		if lies < 0 {
			want = task.DestinationInconsistent
		}
		s.settled()
		s.wantReasons(r.Job, map[task.Reason]int64{want: 1})
		if text, _ := s.text(s.dst, "k"); text != "text" {
			t.Errorf("mode %s: the destination holds %q", mode, text)
		}
		s.prove()
	}
}

// An event finds that the destination's object is not encrypted as it should be; a scan
// cannot see it, and takes what is there for what it is.
func TestEventsSeeThatEncryptionIsMissing(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]task.Reason{"auto": task.Copied, "oms": task.Copied, "size+mtime": task.Copied, "checksum": task.Copied, "never": task.DestinationExists} {
		s := newService(t, task.Options{Compare: mode, Encrypt: objstore.EncryptKMS})
		srv := s.archive(s3fault.Options{Encrypts: true}, true)
		srv.Put("bucket", "k", []byte("text"))
		srv.Put("other", "k", []byte("text"))
		s.lanes(nil)
		r := s.event("k")
		s.settled()
		s.wantReasons(r.Job, map[task.Reason]int64{want: 1})
		if got := srv.Encryption("other", "k"); (got == objstore.EncryptKMS) != (want == task.Copied) {
			t.Errorf("mode %s: encryption %q", mode, got)
		}
	}
}

// Scans of an encrypting task do not take ETags for MD5s: what was copied stays ignored.
func TestScansOfEncryptedCopiesFindNothingToDo(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Encrypt: objstore.EncryptKMS, Verify: task.VerifyCRC64})
	srv := s.archive(s3fault.Options{Encrypts: true}, true)
	s.lanes(nil)
	s.scans()
	s.janitor()
	for _, k := range keysNamed("k", 20) {
		srv.Put("bucket", k, []byte("text of "+k))
	}
	put := time.Now()
	s.until("the copies are later by the stores' clocks", func() bool { return time.Since(put) > 5*time.Millisecond })
	if c := s.scan().Counts; c.Synced != 20 {
		t.Fatalf("first scan: %+v", c)
	}
	for _, k := range keysNamed("k", 20) {
		if got := srv.Encryption("other", k); got != objstore.EncryptKMS {
			t.Fatalf("%s: encryption %q", k, got)
		}
	}
	if c := s.scan().Counts; c.Unchanged != 20 {
		t.Errorf("second scan: %+v", c)
	}
}

// What a store takes and does not encrypt has failed.
func TestUnencryptedCopiesFail(t *testing.T) {
	t.Parallel()
	s := newService(t, task.Options{Encrypt: objstore.EncryptKMS})
	srv := s.archive(s3fault.Options{}, true)
	srv.Put("bucket", "k", []byte("text"))
	s.lanes(nil)
	r := s.event("k")
	s.settled()
	s.wantReasons(r.Job, map[task.Reason]int64{task.DestinationNotEncrypted: 1})
}
