package transfer_test

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/file"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// An upload that has gone, completed without an answer or aborted by somebody else, is not a
// source that has gone.
func TestGoneUploadInsideIsNoGoneSource(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]s3fault.Fault{
		"lost completion":    {Op: "complete", Kind: s3fault.LostReply},
		"aborted meanwhile":  {Op: "copy-part", Status: 404, Code: "NoSuchUpload"},
		"aborted at the end": {Op: "complete", Status: 404, Code: "NoSuchUpload"},
	} {
		srv := s3fault.New(t, s3fault.Options{})
		access, secret := srv.Credentials()
		cfg := s3.Config{Endpoint: srv.URL, Bucket: "bucket", Provider: "aws", AccessKey: access, SecretKey: secret, Override: []string{"max-copy=1MiB"}}
		dst := s3bucket(t, cfg)
		cfg.Bucket = "other"
		src := s3bucket(t, cfg)
		data := content(6<<20, 1)
		put(t, src, "k", data, objstore.PutOptions{})
		it := item(t, src, dst)
		srv.Inject(fault)
		res := transfer.New(transfer.Config{Src: retry.Wrap(src, retry.Policy{}), Dst: retry.Wrap(dst, retry.Policy{})}).Do(t.Context(), it)
		if got, _ := srv.Get("bucket", "k"); res.Outcome != task.Synced || !bytes.Equal(got, data) {
			t.Errorf("%s: %+v, %d bytes at the destination", name, res, len(got))
		}
		if n := srv.Uploads(); n != 0 {
			t.Errorf("%s: %d uploads left", name, n)
		}
	}
}

// A limit of bytes holds between directories too, where the kernel would copy past it.
func TestPacedCopiesBetweenDirectoriesPassThrough(t *testing.T) {
	t.Parallel()
	for _, paced := range []bool{false, true} {
		var ends [2]*file.Bucket
		for i := range ends {
			var err error
			if ends[i], err = file.Open(t.TempDir(), file.Options{NoSync: true}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ends[i].Close() })
		}
		src, dst := ends[0], ends[1]
		data := content(1<<20, 1)
		put(t, src, "k", data, objstore.PutOptions{})
		var moved atomic.Int64
		res := transfer.New(transfer.Config{Src: src, Dst: dst, Paced: paced, Moved: &moved}).Do(t.Context(), item(t, src, dst))
		wantSynced(t, res, 1<<20)
		if through := moved.Load() == 1<<20; through != paced {
			t.Errorf("paced %v: %d bytes passed through here", paced, moved.Load())
		}
		if !bytes.Equal(get(t, dst, "k"), data) {
			t.Errorf("paced %v: bytes differ", paced)
		}
	}
}
