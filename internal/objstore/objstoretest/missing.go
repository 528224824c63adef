package objstoretest

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// testMissingBucket: a bucket that is gone must never look like one that is
// empty, nor like one whose objects are gone.
func testMissingBucket(t *testing.T, b objstore.Bucket) {
	ctx := t.Context()
	wantErr(t, b.Probe(ctx), objstore.ErrBucketNotFound, "Probe")
	var listErr error
	for page, err := range b.List(ctx, objstore.ListOptions{}) {
		if len(page.Objects) > 0 {
			t.Errorf("listing shows %q", keysOf(page.Objects))
		}
		listErr = err
	}
	wantErr(t, listErr, objstore.ErrBucketNotFound, "List")
	_, err := b.Put(ctx, "key", strings.NewReader("x"), 1, objstore.PutOptions{})
	wantErr(t, err, objstore.ErrBucketNotFound, "Put")
	_, err = b.Open(ctx, "key", objstore.OpenOptions{})
	bucketOrUnconfirmed(t, err, "Open")
	_, err = b.Stat(ctx, "key")
	bucketOrUnconfirmed(t, err, "Stat")
}

// bucketOrUnconfirmed: an answer without a body cannot say which of the two is
// missing, and must say that it cannot.
func bucketOrUnconfirmed(t *testing.T, err error, what string) {
	t.Helper()
	if errors.Is(err, objstore.ErrBucketNotFound) || errors.Is(err, objstore.ErrNotFound) && objstore.Unconfirmed(err) {
		return
	}
	t.Errorf("%s in a missing bucket = %v, want ErrBucketNotFound, or ErrNotFound unconfirmed", what, err)
}
