package history_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// As in creation_failures/1609833838031_5ff41d6e85e877149d44bb55_4.failed_list.txt: the
// first four bytes of the id are the second.
func TestNamesOfListsThatNeverBegan(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1609833838031)
	f := queue.ListFile{Num: 7, Job: task.NewJobID(at), Kind: queue.ListUnstarted, SealedAt: at, Lines: 4}
	name := history.ListName("batch", f)
	want := regexp.MustCompile(`^failed_object_lists/creation_failures/1609833838031_5ff41d6e[0-9a-f]{16}_4\.failed_list\.txt$`)
	if !want.MatchString(name) || name != history.ListName("another", f) {
		t.Fatal(name)
	}
	other := f
	other.Num++
	if history.ListName("batch", other) == name {
		t.Fatal("two files have one name")
	}
}

func TestOMSCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason      task.Reason
		store, want string
	}{
		{task.SourceGone, "", "GET_SRC_OBJ_META_FAILURE"},
		{task.SourceGone, "NoSuchKey", "GET_SRC_OBJ_META_FAILURE-NoSuchKey"},
		{task.DestinationDenied, "AccessDenied", "UPLOAD_DST_OBJ_FAILURE-AccessDenied"},
		{task.InternalFailure, "", "SYNC_OBJ_FAILURE"},
		{task.SourceChanging, "PreconditionFailed", "GET_SRC_OBJ_FAILURE-PreconditionFailed"},
		{task.SourceChanging, cdn.CodeDiffers, "COMPARE_SRC_AND_CDN_FAILURE"},
	} {
		if got := history.OMSCode(c.reason, c.store); got != c.want {
			t.Errorf("%s %s: %s", c.reason, c.store, got)
		}
	}
}
