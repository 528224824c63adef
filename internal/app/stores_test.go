package app

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestDeniedStoresAndDirectories: a directory has no access keys to be allowed anything.
func TestDeniedStoresAndDirectories(t *testing.T) {
	t.Parallel()
	denied := &objstore.Error{Kind: objstore.ErrDenied, Op: "open bucket", Err: fs.ErrPermission}
	for scheme, want := range map[string]string{"file": "as a user who may", "s3": "s3:ListBucket"} {
		e, ok := errors.AsType[*task.Error](storeError("destination", config.Store{Scheme: scheme, Dir: "/d", Bucket: "b"}, denied))
		if !ok || e.Code != "ACCESS_DENIED" || !strings.Contains(e.Next, want) {
			t.Errorf("%s: %+v", scheme, e)
		}
	}
}
