package oms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// taskWith makes a task with members of its own and returns its path.
func (w *world) taskWith(bucket string, more ...string) string {
	w.Helper()
	var out struct {
		ID string `json:"sync_task_id"`
	}
	w.want(w.operator, "POST", p1, create(bucket, more...), 200, "", &out)
	return p1 + "/" + out.ID
}

// failedList stops a task and returns the last columns of its list of failed objects, by
// name, as it is written in the destination bucket.
func (w *world) failedList(path, bucket string) map[string]string {
	w.Helper()
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil)
	place := "oms/sync_task/" + path[len(p1)+1:] + "/failed_object_lists/"
	at := task.Location{Endpoint: "obs", Bucket: bucket}
	pair := control.Credentials{AccessKey: "STOREKEY", SecretKey: secret.New("storesecret")}
	for range 600 {
		page, err := w.s.Control().ListObjects(w.Context(), w.s.Admin(), at, pair, control.Listing{Prefix: place, Limit: 10})
		w.must(err)
		codes := map[string]string{}
		for _, n := range page.Names {
			text, _ := w.s3.Get(bucket, n.Key)
			for line := range strings.Lines(string(text)) {
				columns := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
				if len(columns) >= 5 {
					codes[columns[3]] = columns[4]
				}
			}
		}
		if len(codes) > 0 {
			return codes
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-w.Context().Done():
		}
	}
	w.Fatalf("no list of failed objects\n%s", w.log)
	return nil
}

func (w *world) shown(path string) (t struct {
	Check   string `json:"consistency_check"`
	Restore bool   `json:"enable_restore"`
	KMS     bool   `json:"enable_kms"`
},
) {
	w.Helper()
	w.want(w.viewer, "GET", path+"?query_time=1577836800000", "", 200, "", &t)
	return t
}

// TestConsistencyCheckFailsObjects: by default the destination must not be older than the
// source; where a finished transmission is a success, it may.
func TestConsistencyCheckFailsObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, k := range []string{"young", "well"} {
		w.s3.Put("src", k, []byte("data of "+k))
	}
	w.s3.SetModified("src", "young", time.Now().Add(time.Hour))
	strict, lax := w.newTask("dst"), w.taskWith("dst2", "consistency_check", `"transmission"`)
	for _, path := range []string{strict, lax} {
		w.want(w.sender, "POST", path+"/events", objectKeys("young", "well"), 200, "", nil)
	}
	if m := w.settled(lax, 2); m.Success != 2 {
		t.Errorf("no_check: %+v", m)
	}
	if m := w.settled(strict, 2); m.Success != 1 || m.Failure != 1 {
		t.Fatalf("size_last_modified: %+v", m)
	}
	if got, _ := w.s3.Get("dst", "young"); string(got) != "data of young" {
		t.Errorf("the object that failed is not kept: %q", got)
	}
	if s, l := w.shown(strict).Check, w.shown(lax).Check; s != "size_last_modified" || l != "no_check" {
		t.Errorf("answered %s and %s", s, l)
	}
	// The cause has gone: the same event syncs it.
	w.s3.SetModified("src", "young", time.Now().Add(-time.Hour))
	w.s3.SetModified("dst", "young", time.Now().Add(-2*time.Hour))
	w.want(w.sender, "POST", strict+"/events", objectKeys("young"), 200, "", nil)
	if m := w.settled(strict, 3); m.Success != 2 {
		t.Errorf("again: %+v", m)
	}
	if codes := w.failedList(strict, "dst"); codes["young"] != "CHECK_CONSISTENCY_FAILURE" || len(codes) != 1 {
		t.Errorf("failed list: %v", codes)
	}
}

// TestRestoreThawsArchivedObjects: they are asked back once and copied when they are
// there; without the field, and where the source refuses, they fail with OMS's code.
func TestRestoreThawsArchivedObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.s3.Archiving(1500 * time.Millisecond)
	for _, k := range []string{"cold", "locked"} {
		w.s3.Put("src", k, []byte("data of "+k))
		w.s3.Archive("src", k)
	}
	w.s3.Inject(s3fault.Fault{Op: "restore", Key: "locked", Runs: -1, Status: 403, Code: "AccessDenied"})
	bare := w.newTask("dst")
	w.want(w.sender, "POST", bare+"/events", objectKeys("cold"), 200, "", nil)
	if m := w.settled(bare, 1); m.Failure != 1 || w.s3.Count("restore") != 0 {
		t.Errorf("without enable_restore: %+v, asked back %d times", m, w.s3.Count("restore"))
	}
	thawing := w.taskWith("dst2", "enable_restore", "true")
	w.want(w.sender, "POST", thawing+"/events", objectKeys("cold", "locked"), 200, "", nil)
	if m := w.settled(thawing, 2); m.Success != 1 || m.Failure != 1 {
		t.Errorf("with enable_restore: %+v", m)
	}
	if got, _ := w.s3.Get("dst2", "cold"); string(got) != "data of cold" {
		t.Errorf("restored: %q", got)
	}
	if !w.shown(thawing).Restore || w.shown(bare).Restore {
		t.Error("enable_restore is not answered as it is")
	}
	if codes := w.failedList(bare, "dst"); codes["cold"] != "RESTORE_SRC_OBJ_FAILURE-InvalidObjectState" {
		t.Errorf("failed list without: %v", codes)
	}
	if codes := w.failedList(thawing, "dst2"); codes["locked"] != "RESTORE_SRC_OBJ_FAILURE-AccessDenied" {
		t.Errorf("failed list with: %v", codes)
	}
}

// TestKMSEncryptsObjects: a store that obeys holds encrypted objects, one that does not
// fails them, and with them the honest answer that they are not encrypted.
func TestKMSEncryptsObjects(t *testing.T) {
	t.Parallel()
	for _, obeys := range []bool{true, false} {
		w := newWorld(t)
		if obeys {
			w.s3.Encrypting()
		}
		w.s3.Put("src", "a", []byte("data of a"))
		w.s3.Put("dst", "a", []byte("data of a")) // equal, and not encrypted
		path := w.taskWith("dst", "enable_kms", "true")
		w.want(w.sender, "POST", path+"/events", objectKeys("a"), 200, "", nil)
		m := w.settled(path, 1)
		if got := w.s3.Encryption("dst", "a"); (m.Success == 1) != obeys || (got == objstore.EncryptKMS) != obeys {
			t.Errorf("obeys %v: %+v, encryption %q", obeys, m, got)
		}
		if !w.shown(path).KMS {
			t.Error("enable_kms is not answered as it is")
		}
		if !obeys {
			if codes := w.failedList(path, "dst"); codes["a"] != "UPLOAD_DST_OBJ_FAILURE" {
				t.Errorf("failed list: %v", codes)
			}
		}
	}
}
