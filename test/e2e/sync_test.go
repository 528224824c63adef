package e2e

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

// betweenServers syncs everything awkward from one server to another and looks at
// what arrived.
// Keys that plain does not let pass are left out.
func betweenServers(t *testing.T, src, dst objstore.Bucket, from, to side, plain func(string) bool) {
	t.Helper()
	attrs := objstore.PutOptions{
		Header: objstore.Header{ContentType: "text/x-lockstep", CacheControl: "max-age=60", ContentDisposition: "attachment", ContentEncoding: "identity", ContentLanguage: "de"},
		Meta:   map[string]string{"owner": "zoe", "place": "Zürich"},
		Tags:   map[string]string{"team": "a b", "level": "1"},
	}
	for _, key := range slices.DeleteFunc(objstoretest.Keys(), func(key string) bool { return !plain(key) }) {
		body := content(100, uint64(len(key)))
		if _, err := src.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), attrs); err != nil {
			t.Logf("the source cannot hold %.40q: %.60v", key, err)
		}
	}
	for i, size := range []int{0, 1, 128 << 10, 5 << 20, 40 << 20} {
		put(t, src, "sizes/"+string(rune('a'+i)), content(size, uint64(size)))
	}
	objects := int64(len(list(t, src))) // a server may take two keys for one
	if objects < 40 {
		t.Fatalf("the source holds only %d objects", objects)
	}
	afterThisSecond(t)
	first := syncOnce(t, from, to)
	if first.code == 2 { // keys that one store holds and the other cannot
		if !strings.Contains(first.stderr, "KEY_NOT_REPRESENTABLE") {
			t.Fatalf("failures other than keys:\n%s", first.stderr)
		}
	} else if first.code != 0 {
		t.Fatalf("exit %d\n%s", first.code, first.stderr)
	}
	c := first.counts
	if c.Requested != objects || c.Synced+c.Failed != objects || c.Ignored != 0 {
		t.Fatalf("%+v, want %d requested and all of them synced or failed", c, objects)
	}
	if missing := wantNoneCorrupt(t, src, dst); int64(missing) != c.Failed {
		t.Fatalf("%d objects missing, %d failed", missing, c.Failed)
	}
	wantAttributes(t, dst, attrs)
	again := syncOnce(t, from, to)
	if again.counts.Synced != 0 || again.counts.Ignored != c.Synced || again.counts.Bytes != 0 {
		t.Fatalf("a second run did %+v", again.counts)
	}
}

// afterThisSecond returns in the next second of the clock. A copy in parts has no
// ETag to compare, and one written in the second of its source is not later than it:
// the next run would rightly copy it again.
func afterThisSecond(t *testing.T) {
	t.Helper()
	now := time.Now()
	select {
	case <-time.After(now.Truncate(time.Second).Add(time.Second).Sub(now)):
	case <-t.Context().Done():
	}
}

// wantAttributes looks at one object with everything and at what came with it.
func wantAttributes(t *testing.T, dst objstore.Bucket, want objstore.PutOptions) {
	t.Helper()
	const key = "plus plus" // of the corpus
	info, err := dst.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Header, info.Header); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want.Meta, info.Meta); diff != "" {
		t.Errorf("metadata (-want +got)\n%s", diff)
	}
	if !dst.Capabilities().Tags {
		return
	}
	tags, err := dst.Tags(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Tags, tags); diff != "" {
		t.Errorf("tags (-want +got)\n%s", diff)
	}
}

// anyKey lets every key pass.
func anyKey(string) bool { return true }

// printable leaves out what XML cannot carry: versitygw takes such keys, and lists
// them as if they were U+FFFD.
func printable(key string) bool {
	return !strings.ContainsFunc(key, func(r rune) bool { return unicode.IsControl(r) || r == 0xfffe })
}

func TestBetweenVersityGWs(t *testing.T) {
	src, from := s3Bucket(t, s3server.VersityGW(t), "", "src")
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	betweenServers(t, src, dst, from, to, printable)
}

func TestBetweenMinIOs(t *testing.T) {
	src, from := s3Bucket(t, s3server.MinIO(t), "minio", "src")
	dst, to := s3Bucket(t, s3server.MinIO(t), "minio", "dst")
	betweenServers(t, src, dst, from, to, anyKey)
}

func TestBetweenMinIOAndVersityGW(t *testing.T) {
	src, from := s3Bucket(t, s3server.MinIO(t), "minio", "src")
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	betweenServers(t, src, dst, from, to, anyKey)
}

func TestInsideMinIO(t *testing.T) {
	srv := s3server.MinIO(t)
	src, from := s3Bucket(t, srv, "minio", "src")
	dst, to := s3Bucket(t, srv, "minio", "dst")
	betweenServers(t, src, dst, from, to, anyKey)
}

func TestInsideVersityGW(t *testing.T) {
	srv := s3server.VersityGW(t)
	src, from := s3Bucket(t, srv, "", "src")
	dst, to := s3Bucket(t, srv, "", "dst")
	betweenServers(t, src, dst, from, to, printable)
}

// Deletes reach a real server too, and an empty source deletes nothing there.
func TestDeletesOnVersityGW(t *testing.T) {
	dir := t.TempDir()
	src, from := dirBucket(t, filepath.Join(dir, "src"))
	dst, to := s3Bucket(t, s3server.VersityGW(t), "", "dst")
	for _, key := range []string{"a", "b", "c/d"} {
		put(t, src, key, content(10, 1))
		put(t, dst, "old "+key, content(10, 1))
	}
	age(t, filepath.Join(dir, "src"))
	wantSync(t, from, to, 3, counts{Requested: 6, Synced: 3, Bytes: 30}, "--delete") // three of three: over ten percent
	wantSync(t, from, to, 0, counts{Requested: 6, Synced: 3, Deleted: 3, Ignored: 3}, "--delete", "--max-delete-percent", "100")
	wantEqual(t, src, dst)
	for key := range list(t, src) {
		if err := src.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	out := syncOnce(t, from, to, "--delete", "--max-delete-percent", "100", "--max-delete", "-1")
	if out.code != 3 || !strings.Contains(out.stderr, "SOURCE_EMPTY") || len(list(t, dst)) != 3 {
		t.Fatalf("exit %d with %d objects left\n%s", out.code, len(list(t, dst)), out.stderr)
	}
}

// What a person gets wrong is answered fast, with a code and advice, exit 1 and
// without a secret.
func TestBadInputAtVersityGW(t *testing.T) {
	srv := s3server.VersityGW(t)
	_, good := s3Bucket(t, srv, "", "good")
	_, dir := dirBucket(t, t.TempDir())
	wrongKey, wrongSecret, noBucket, noHost := good, good, good, good
	wrongKey.accessKey = "nobody"
	wrongSecret.secretKey = "not-the-secret-9f31"
	noBucket.url = "s3://missing-bucket"
	noHost.endpoint = "http://" + deadAddress(t)
	for _, c := range []struct {
		name string
		src  side
		code string
	}{
		{"wrong access key", wrongKey, "CREDENTIALS_REFUSED"},
		{"wrong secret", wrongSecret, "CREDENTIALS_REFUSED"},
		{"missing bucket", noBucket, "BUCKET_NOT_FOUND"},
		{"nobody listens", noHost, "STORE_UNREACHABLE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			out := syncOnce(t, c.src, dir)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if out.code != 1 || !strings.Contains(out.stderr, "code: "+c.code) || !strings.Contains(out.stderr, "next: ") {
				t.Errorf("exit %d\n%s", out.code, out.stderr)
			}
			for _, secret := range []string{srv.SecretKey, wrongSecret.secretKey} {
				if strings.Contains(out.stdout+out.stderr, secret) {
					t.Errorf("a secret is printed:\n%s", out.stderr)
				}
			}
		})
	}
}

// deadAddress is a loopback address where nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.WithoutCancel(t.Context()), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
