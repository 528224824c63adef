package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// endless is an S3 server with one flat bucket of n objects that exist only in
// its listings.
func endless(t *testing.T, n int) side {
	t.Helper()
	const first = "2026-01-01T00:00:00.000Z"
	key := func(i int) string { return fmt.Sprintf("flat/object-%09d.bin", i) }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || q.Get("list-type") != "2" {
			w.WriteHeader(http.StatusOK) // HEAD of the bucket
			return
		}
		after := q.Get("start-after")
		if token, err := base64.StdEncoding.DecodeString(q.Get("continuation-token")); err == nil && len(token) > 0 {
			after = string(token)
		}
		from := 0
		if after != "" {
			if _, err := fmt.Sscanf(after, "flat/object-%09d.bin", &from); err != nil {
				http.Error(w, "start-after is no key", http.StatusBadRequest)
				return
			}
			from++
		}
		page := 1000
		if m, err := strconv.Atoi(q.Get("max-keys")); err == nil {
			page = min(m, page)
		}
		until := min(n, from+page)
		b := []byte(`<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>`)
		b = strconv.AppendBool(b, until < n)
		b = append(b, `</IsTruncated>`...)
		if until < n {
			b = append(b, `<NextContinuationToken>`+base64.StdEncoding.EncodeToString([]byte(key(until-1)))+`</NextContinuationToken>`...)
		}
		for i := from; i < until; i++ {
			b = append(b, `<Contents><Key>`+key(i)+`</Key><LastModified>`+first+`</LastModified><ETag>&quot;`...)
			b = fmt.Appendf(b, "%032x", i)
			b = append(b, `&quot;</ETag><Size>1024</Size><StorageClass>STANDARD</StorageClass></Contents>`...)
		}
		b = append(b, `</ListBucketResult>`...)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	}))
	t.Cleanup(srv.Close)
	return side{url: "s3://endless", endpoint: srv.URL, provider: "minio", accessKey: "a", secretKey: "bbbbbbbb"}
}

// mib is the peak resident memory that a run may have, whatever the number of objects.
const mib = 64

// flatBucket compares two equal flat buckets of n objects and returns the peak
// resident memory in KiB.
func flatBucket(t *testing.T, n int) int64 {
	t.Helper()
	src, dst := endless(t, n), endless(t, n)
	dst.url = "s3://endless-copy"
	out := wantSync(t, src, dst, 0, counts{Requested: int64(n), Ignored: int64(n)})
	t.Logf("%d keys on both sides: %d MiB", n, out.maxRSS>>10)
	if out.maxRSS > mib<<10 {
		t.Errorf("%d keys took %d MiB", n, out.maxRSS>>10)
	}
	return out.maxRSS
}

func wantFlat(t *testing.T, few, many int64) {
	t.Helper()
	if many > few+12<<10 { // what the collector's timing makes of it
		t.Errorf("memory grows with the number of objects: %d KiB, then %d KiB", few, many)
	}
}

func TestMemoryOfFlatBucket(t *testing.T) {
	few := flatBucket(t, 100_000)
	wantFlat(t, few, flatBucket(t, 300_000))
}

// interopOnly leaves out what is slow from all runs but `make interop`.
func interopOnly(t *testing.T) {
	t.Helper()
	if !strings.Contains(os.Getenv("LOCKSTEP_REQUIRE"), "minio") {
		t.Skip("slow: part of `make interop`")
	}
}

func TestMemoryOfMillionKeysInterop(t *testing.T) {
	interopOnly(t)
	few := flatBucket(t, 100_000)
	wantFlat(t, few, flatBucket(t, 1_000_000))
}

// roomyDir is a directory in memory where the system has one: making millions of
// files on a disk takes minutes.
func roomyDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lockstep-e2e-") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// flatDir syncs n empty files of one directory to another that already has them.
func flatDir(t *testing.T, n int) int64 {
	t.Helper()
	dir := roomyDir(t)
	for _, name := range []string{"src", "dst"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, name, fmt.Sprintf("object-%09d", i)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	src, dst := dirSide(filepath.Join(dir, "src")), dirSide(filepath.Join(dir, "dst"))
	out := wantSync(t, src, dst, 0, counts{Requested: int64(n), Ignored: int64(n)})
	t.Logf("%d files on both sides: %d MiB", n, out.maxRSS>>10)
	return out.maxRSS
}

func TestMillionFilesInterop(t *testing.T) {
	interopOnly(t)
	few := flatDir(t, 100_000)
	many := flatDir(t, 1_000_000)
	wantFlat(t, few, many)
	if many > 2*mib<<10 {
		t.Errorf("a million files took %d MiB", many>>10)
	}
}
