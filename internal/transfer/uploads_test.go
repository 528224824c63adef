package transfer_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// A store that cannot be asked for the parts of an upload has not lost it: forgotten, the
// upload would stay there for good.
func TestUploadIsRememberedWhileItCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	srv, dst, _ := faultServer(t, s3fault.Options{})
	src := mem.New("src")
	data := content(40<<20, 1)
	put(t, src, "k", data, objstore.PutOptions{})
	it := item(t, src, dst)
	known, err := transfer.OpenStateFile(t.TempDir() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	once := transfer.New(transfer.Config{Src: src, Dst: dst, Uploads: known, Retry: retry.Policy{Attempts: 1}})
	for _, op := range []string{"complete", "list-parts"} {
		srv.Inject(s3fault.Fault{Op: op, Runs: -1, Status: 503, Code: "ServiceUnavailable"})
		if res := once.Do(t.Context(), it); res.Outcome != task.Failed || !errors.Is(res.Err, objstore.ErrUnavailable) {
			t.Fatalf("%s: %+v", op, res)
		}
		srv.Clear()
	}
	parts := srv.Count("put-part")
	wantSynced(t, once.Do(t.Context(), it), 40<<20)
	if got, _ := srv.Get("bucket", "k"); !bytes.Equal(got, data) {
		t.Error("bytes differ")
	}
	if moved, left := srv.Count("put-part")-parts, srv.Uploads(); moved != 0 || left != 0 {
		t.Errorf("%d parts moved again, %d uploads left", moved, left)
	}
}

// An upload whose parts may not be listed is of no use: it is aborted, and another begun.
func TestUploadWhosePartsMayNotBeListedIsAborted(t *testing.T) {
	t.Parallel()
	srv, dst, _ := faultServer(t, s3fault.Options{})
	src := mem.New("src")
	put(t, src, "k", content(40<<20, 1), objstore.PutOptions{})
	it := item(t, src, dst)
	known, err := transfer.OpenStateFile(t.TempDir() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	once := transfer.New(transfer.Config{Src: src, Dst: dst, Uploads: known, Retry: retry.Policy{Attempts: 1}})
	srv.Inject(s3fault.Fault{Op: "complete", Status: 503, Code: "ServiceUnavailable"})
	if res := once.Do(t.Context(), it); res.Outcome != task.Failed {
		t.Fatalf("%+v", res)
	}
	srv.Inject(s3fault.Fault{Op: "list-parts", Status: 403, Code: "AccessDenied"})
	wantSynced(t, once.Do(t.Context(), it), 40<<20)
	if n := srv.Uploads(); n != 0 {
		t.Errorf("%d uploads left", n)
	}
}

// forgetful is a memory of uploads with no room left.
type forgetful struct{ transfer.Uploads }

func (forgetful) Find(transfer.Target) (u transfer.Upload, ok bool) { return u, false }
func (forgetful) Begin(transfer.Upload) error                       { return errors.New("no space left") }
func (forgetful) End(transfer.Target) error                         { return nil }

func TestUploadThatCannotBeRememberedIsAborted(t *testing.T) {
	t.Parallel()
	srv, dst, _ := faultServer(t, s3fault.Options{})
	src := mem.New("src")
	put(t, src, "k", content(40<<20, 1), objstore.PutOptions{})
	res := transfer.New(transfer.Config{Src: src, Dst: dst, Uploads: forgetful{}}).Do(t.Context(), item(t, src, dst))
	if res.Outcome != task.Failed || srv.Uploads() != 0 {
		t.Errorf("%+v, %d uploads left", res, srv.Uploads())
	}
}

// Tags that go with no request of the upload reach an object whose upload another process
// began: only that one's driver had been told of them.
func TestResumedUploadHasItsTags(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{})
	access, secret := srv.Credentials()
	cfg := s3.Config{Endpoint: srv.URL, Bucket: "bucket", Provider: "generic", AccessKey: access, SecretKey: secret, Override: []string{"max-put=16MiB"}}
	src := mem.New("src")
	tags := map[string]string{"a": "b c", "d": "é"}
	put(t, src, "k", content(20<<20, 1), objstore.PutOptions{Tags: tags})
	known, err := transfer.OpenStateFile(t.TempDir() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	srv.Inject(s3fault.Fault{Op: "complete", Status: 503, Code: "ServiceUnavailable"})
	var dst *s3.Bucket
	for _, want := range []task.Outcome{task.Failed, task.Synced} {
		dst = s3bucket(t, cfg)
		res := transfer.New(transfer.Config{Src: src, Dst: dst, Uploads: known, Retry: retry.Policy{Attempts: 1}}).Do(t.Context(), item(t, src, dst))
		if res.Outcome != want || len(res.Dropped) > 0 {
			t.Fatalf("%+v, want %v", res, want)
		}
	}
	got, err := dst.Tags(t.Context(), "k")
	if diff := cmp.Diff(tags, got); diff != "" || err != nil {
		t.Errorf("tags (-want +got), %v\n%s", err, diff)
	}
}

func TestStateFileIsOfOneProcess(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state"
	for range 2 { // a new file, and one that is there
		s, err := transfer.OpenStateFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.OpenStateFile(path); !errors.Is(err, transfer.ErrInUse) {
			t.Errorf("opened twice: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
