package transfer_test

import (
	"bytes"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
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
