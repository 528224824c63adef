package transfer_test

import (
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// A key that the source cannot hold is not there, so it goes; but a source that is gone
// deletes nothing.
func TestRemoveOfKeysThatTheSourceCannotHold(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{})
	access, secret := srv.Credentials()
	src := s3bucket(t, s3.Config{Endpoint: srv.URL, Bucket: "bucket", Provider: "minio", AccessKey: access, SecretKey: secret})
	dst := mem.New("dst")
	items := []plan.Item{{Key: "a//b"}, {Key: "a/../b"}}
	c := transfer.New(transfer.Config{Src: src, Dst: dst})
	for _, gone := range []bool{false, true} {
		for _, it := range items {
			put(t, dst, it.Key, []byte("x"), objstore.PutOptions{})
		}
		if gone {
			srv.DropBucket("bucket")
		}
		for i, res := range c.Remove(t.Context(), items) {
			if deleted := res.Outcome == task.Synced && res.Reason == task.Deleted; deleted == gone {
				t.Errorf("bucket gone %v: %q: %+v", gone, items[i].Key, res)
			}
			if _, err := dst.Stat(t.Context(), items[i].Key); (err == nil) != gone {
				t.Errorf("bucket gone %v: stat of %q: %v", gone, items[i].Key, err)
			}
		}
	}
}
