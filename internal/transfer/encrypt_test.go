package transfer_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

func s3bucket(t *testing.T, cfg s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Service().Close)
	return b
}

// faultServer returns a server and its two buckets.
func faultServer(t *testing.T, opt s3fault.Options) (srv *s3fault.Server, bucket, other *s3.Bucket) {
	t.Helper()
	srv = s3fault.New(t, opt)
	access, secret := srv.Credentials()
	cfg := s3.Config{Endpoint: srv.URL, Bucket: "bucket", Provider: "aws", AccessKey: access, SecretKey: secret}
	bucket = s3bucket(t, cfg)
	cfg.Bucket = "other"
	return srv, bucket, s3bucket(t, cfg)
}

func TestEncryptedCopies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt     s3fault.Options
		fails   bool
		keeps   bool // the object is at the destination all the same
		inspect int  // how often the destination was asked for it
	}{
		"obeyed":            {s3fault.Options{Encrypts: true}, false, true, 0},
		"obeyed and untold": {s3fault.Options{Encrypts: true, QuietEncryption: true}, false, true, 1},
		"ignored":           {s3fault.Options{}, true, true, 1},
		"refused":           {s3fault.Options{RefuseEncryption: 501}, true, false, 0},
	} {
		for way, size := range map[string]int{"whole": 1000, "streamed": 1 << 20, "parts": 40 << 20, "inside": 1000} {
			if way == "parts" && testing.Short() {
				continue
			}
			srv, bucket, other := faultServer(t, c.opt)
			var src objstore.Bucket = mem.New("src")
			if way == "inside" {
				src = other
			}
			data := content(size, 1)
			put(t, src, "k", data, objstore.PutOptions{})
			it := item(t, src, bucket)
			asked := srv.Count("head")
			res := transfer.New(transfer.Config{Src: src, Dst: bucket, Encrypt: objstore.EncryptKMS}).Do(t.Context(), it)
			if c.fails != errors.Is(res.Err, objstore.ErrEncryption) || c.fails != (res.Outcome == task.Failed) {
				t.Errorf("%s, %s: %+v", name, way, res)
			}
			got, there := srv.Get("bucket", "k")
			if there != c.keeps || there && !bytes.Equal(got, data) {
				t.Errorf("%s, %s: at the destination %v, %d bytes", name, way, there, len(got))
			}
			if !c.fails && srv.Encryption("bucket", "k") != objstore.EncryptKMS {
				t.Errorf("%s, %s: encryption %q", name, way, srv.Encryption("bucket", "k"))
			}
			heads := srv.Count("head") - asked
			if way == "inside" && c.keeps {
				heads-- // the source, which is looked at after a copy without ETags to compare
			}
			if heads != c.inspect {
				t.Errorf("%s, %s: %d looks at the destination, want %d", name, way, heads, c.inspect)
			}
		}
	}
}

// An upload that was begun otherwise is not taken up: its object would not be encrypted.
func TestResumedUploadIsEncrypted(t *testing.T) {
	t.Parallel()
	srv, dst, _ := faultServer(t, s3fault.Options{Encrypts: true})
	src := mem.New("src")
	put(t, src, "k", content(40<<20, 1), objstore.PutOptions{})
	it := item(t, src, dst)
	for _, begun := range []string{"", objstore.EncryptKMS} {
		known, err := transfer.OpenStateFile(t.TempDir() + "/state")
		if err != nil {
			t.Fatal(err)
		}
		srv.Inject(s3fault.Fault{Op: "complete", Runs: -1, Status: 503, Code: "ServiceUnavailable"})
		if res := transfer.New(transfer.Config{Src: src, Dst: dst, Encrypt: begun, Uploads: known, Retry: retry.Policy{Attempts: 1}}).Do(t.Context(), it); res.Outcome != task.Failed {
			t.Fatalf("%+v", res)
		}
		srv.Clear()
		parts := srv.Count("put-part")
		res := transfer.New(transfer.Config{Src: src, Dst: dst, Encrypt: objstore.EncryptKMS, Uploads: known}).Do(t.Context(), it)
		wantSynced(t, res, 40<<20)
		if got := srv.Encryption("bucket", "k"); got != objstore.EncryptKMS {
			t.Errorf("begun %q: ends as %q", begun, got)
		}
		if resumed := srv.Count("put-part") == parts; resumed != (begun != "") {
			t.Errorf("begun %q: taken up %v", begun, resumed)
		}
		if err := dst.Delete(t.Context(), "k", objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if n := srv.Uploads(); n != 0 {
			t.Errorf("%d uploads left", n)
		}
	}
}

// Equal contents are copied once more where the destination's is to be encrypted and is
// not: the comparison of contents reads both sides anyway.
func TestCompareWantsEncryption(t *testing.T) {
	t.Parallel()
	srv, dst, _ := faultServer(t, s3fault.Options{Encrypts: true})
	src := mem.New("src")
	data := content(1000, 1)
	put(t, src, "k", data, objstore.PutOptions{})
	srv.Put("bucket", "k", data)
	c := transfer.New(transfer.Config{Src: src, Dst: dst, Encrypt: objstore.EncryptKMS})
	for _, want := range []task.Reason{task.Copied, task.UpToDate} {
		it := item(t, src, dst)
		it.Verb = plan.Compare
		if res := c.Do(t.Context(), it); res.Reason != want || res.Err != nil {
			t.Errorf("%+v, want %s", res, want)
		}
	}
}

// A real store with a key service, in every way of copying.
func TestEncryptedCopiesMinIO(t *testing.T) {
	t.Parallel()
	srv := s3server.MinIO(t, "MINIO_KMS_SECRET_KEY=test:bG9ja3N0ZXAtdGVzdC1rZXktb2YtMzItYnl0ZXMtMDA=")
	bucket := func(name string) *s3.Bucket {
		s3server.MakeBucket(t, srv, name)
		return s3bucket(t, s3.Config{
			Endpoint: srv.Endpoint, Region: srv.Region, Bucket: name, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey,
			Provider: "minio", Override: []string{"max-put=20MiB"}, // so that parts need not be large
		})
	}
	src, dst := bucket("src"), bucket("dst")
	elsewhere := mem.New("src")
	for way, c := range map[string]struct {
		src  objstore.Bucket
		size int
	}{
		"whole": {elsewhere, 1000}, "streamed": {elsewhere, 1 << 20}, "parts": {elsewhere, 40 << 20}, "inside": {src, 1000},
	} {
		data := content(c.size, 1)
		put(t, c.src, "k", data, objstore.PutOptions{Header: objstore.Header{ContentType: "text/x-" + way}})
		for _, verify := range []task.Verify{task.VerifySizeTime, task.VerifyCRC64} {
			res := transfer.New(transfer.Config{Src: c.src, Dst: dst, Encrypt: objstore.EncryptKMS, Verify: verify}).Do(t.Context(), item(t, c.src, dst))
			wantSynced(t, res, int64(c.size))
			info, err := dst.Stat(t.Context(), "k")
			if err != nil || info.Encryption != objstore.EncryptKMS || !info.OpaqueETag || info.Header.ContentType != "text/x-"+way {
				t.Errorf("%s: %+v, %v", way, info, err)
			}
			if !bytes.Equal(get(t, dst, "k"), data) {
				t.Errorf("%s: other bytes", way)
			}
			if err := dst.Delete(t.Context(), "k", objstore.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A real store that does not know encryption takes the object as if nobody had asked.
func TestEncryptionIgnored(t *testing.T) {
	t.Parallel()
	srv := s3server.VersityGW(t)
	s3server.MakeBucket(t, srv, "dst")
	dst := s3bucket(t, s3.Config{Endpoint: srv.Endpoint, Region: srv.Region, Bucket: "dst", AccessKey: srv.AccessKey, SecretKey: srv.SecretKey})
	src := mem.New("src")
	put(t, src, "k", content(1000, 1), objstore.PutOptions{})
	res := transfer.New(transfer.Config{Src: src, Dst: dst, Encrypt: objstore.EncryptKMS}).Do(t.Context(), item(t, src, dst))
	if !errors.Is(res.Err, objstore.ErrEncryption) {
		t.Errorf("%+v", res)
	}
}

// A real store without a key service refuses, and holds nothing.
func TestEncryptionRefusedMinIO(t *testing.T) {
	t.Parallel()
	srv := s3server.MinIO(t)
	s3server.MakeBucket(t, srv, "dst")
	dst := s3bucket(t, s3.Config{Endpoint: srv.Endpoint, Region: srv.Region, Bucket: "dst", AccessKey: srv.AccessKey, SecretKey: srv.SecretKey})
	src := mem.New("src")
	put(t, src, "k", content(1000, 1), objstore.PutOptions{})
	res := transfer.New(transfer.Config{Src: src, Dst: dst, Encrypt: objstore.EncryptKMS}).Do(t.Context(), item(t, src, dst))
	if !errors.Is(res.Err, objstore.ErrEncryption) {
		t.Errorf("%+v", res)
	}
	if _, there := object(t.Context(), dst); there {
		t.Error("the object is at the destination")
	}
}

// An object that a managed key encrypts has an ETag that is no MD5, and its copy inside the
// service, encrypted otherwise, has another.
func TestCopyInsideOfAnEncryptedObject(t *testing.T) {
	t.Parallel()
	srv, dst, src := faultServer(t, s3fault.Options{Encrypts: true})
	put(t, src, "k", content(1000, 1), objstore.PutOptions{Encrypt: objstore.EncryptKMS})
	wantSynced(t, transfer.New(transfer.Config{Src: src, Dst: dst}).Do(t.Context(), item(t, src, dst)), 1000)
	if n := srv.Count("copy"); n != 1 {
		t.Errorf("copied %d times", n)
	}
}
