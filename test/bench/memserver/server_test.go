package memserver

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const testBucket = "bucket"

// start returns a client that others wrote, on a server with one bucket: what the
// server gets wrong, that client notices as the tools that are measured would.
func start(t *testing.T) (*miniogo.Core, string) {
	t.Helper()
	server := httptest.NewServer(New(Config{}))
	t.Cleanup(server.Close)
	client, err := miniogo.NewCore(strings.TrimPrefix(server.URL, "http://"), &miniogo.Options{
		Creds: credentials.NewStaticV4("access", "secret", ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.MakeBucket(t.Context(), testBucket, miniogo.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	return client, server.URL
}

func put(t *testing.T, c *miniogo.Core, key, content string) miniogo.UploadInfo {
	t.Helper()
	info, err := c.Client.PutObject(t.Context(), testBucket, key, strings.NewReader(content), int64(len(content)),
		miniogo.PutObjectOptions{DisableMultipart: true})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func get(t *testing.T, c *miniogo.Core, key string, opt miniogo.GetObjectOptions) string {
	t.Helper()
	body, _, _, err := c.GetObject(t.Context(), testBucket, key, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func etagOf(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

func codeOf(err error) string { return miniogo.ToErrorResponse(err).Code }

func TestObjectKeepsContentAndHeaders(t *testing.T) {
	t.Parallel()
	client, _ := start(t)
	key := "dir//a b+c&<é>.txt"
	// minio-go sends this body in aws-chunked framing, with a checksum in a trailer.
	info, err := client.Client.PutObject(t.Context(), testBucket, key, strings.NewReader("hello"), 5, miniogo.PutObjectOptions{
		ContentType: "text/plain", CacheControl: "no-store", UserMetadata: map[string]string{"Owner": "me"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if info.ETag != etagOf("hello") {
		t.Errorf("ETag %s, want %s", info.ETag, etagOf("hello"))
	}
	stat, err := client.StatObject(t.Context(), testBucket, key, miniogo.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{stat.ETag, stat.ContentType, stat.Metadata.Get("Cache-Control"), stat.UserMetadata["Owner"], fmt.Sprint(stat.Size)}
	if diff := cmp.Diff([]string{etagOf("hello"), "text/plain", "no-store", "me", "5"}, got); diff != "" {
		t.Errorf("stat (-want +got):\n%s", diff)
	}
	if text := get(t, client, key, miniogo.GetObjectOptions{}); text != "hello" {
		t.Errorf("content %q", text)
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	client, url := start(t)
	put(t, client, "key", "0123456789")
	for header, want := range map[string]struct {
		status       int
		contentRange string
		body         string
	}{
		"":             {200, "", "0123456789"},
		"bytes=0-0":    {206, "bytes 0-0/10", "0"},
		"bytes=3-5":    {206, "bytes 3-5/10", "345"},
		"bytes=8-":     {206, "bytes 8-9/10", "89"},
		"bytes=8-1000": {206, "bytes 8-9/10", "89"},
		"bytes=-3":     {206, "bytes 7-9/10", "789"},
		"bytes=10-":    {416, "", ""},
		"bytes=5-3":    {416, "", ""},
		"bytes=-":      {416, "", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/"+testBucket+"/key", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header.Set("Range", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want.status || resp.Header.Get("Content-Range") != want.contentRange {
			t.Errorf("%q: %d %q, want %d %q", header, resp.StatusCode, resp.Header.Get("Content-Range"), want.status, want.contentRange)
		}
		if resp.StatusCode < 300 && string(body) != want.body {
			t.Errorf("%q: body %q, want %q", header, body, want.body)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	client, _ := start(t)
	put(t, client, "key", "old")
	attempt := func(key string, set func(*miniogo.PutObjectOptions)) string {
		opt := miniogo.PutObjectOptions{DisableMultipart: true}
		set(&opt)
		_, err := client.Client.PutObject(t.Context(), testBucket, key, strings.NewReader("new"), 3, opt)
		return codeOf(err)
	}
	const refused = "PreconditionFailed"
	absent := func(o *miniogo.PutObjectOptions) { o.SetMatchETagExcept("*") }
	if code := attempt("key", absent); code != refused {
		t.Errorf("put over an object that must not be there: %q", code)
	}
	if code := attempt("fresh", absent); code != "" {
		t.Errorf("put of a new object: %q", code)
	}
	if code := attempt("key", func(o *miniogo.PutObjectOptions) { o.SetMatchETag("0123") }); code != refused {
		t.Errorf("put over another state: %q", code)
	}
	if code := attempt("key", func(o *miniogo.PutObjectOptions) { o.SetMatchETag(etagOf("old")) }); code != "" {
		t.Errorf("put over the expected state: %q", code)
	}
	var opt miniogo.GetObjectOptions
	if err := opt.SetMatchETag(etagOf("old")); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := client.GetObject(t.Context(), testBucket, "key", opt); codeOf(err) != refused {
		t.Errorf("get of another state: %v", err)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	client, _ := start(t)
	// "a.txt" sorts before "a/b": the order is that of bytes, not of folders.
	keys := []string{"a.txt", "a/b", "a/c/d", "a/c/e", "a0", "b&c", "é"}
	for _, key := range keys {
		put(t, client, key, key)
	}
	t.Run("v2 pages", func(t *testing.T) {
		t.Parallel()
		var got []string
		token := ""
		for {
			page, err := client.ListObjectsV2(testBucket, "", "", token, "", 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				got = append(got, o.Key)
			}
			if token = page.NextContinuationToken; token == "" {
				break
			}
		}
		if diff := cmp.Diff(keys, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
	t.Run("v1 pages", func(t *testing.T) {
		t.Parallel()
		var got []string
		marker := ""
		for {
			page, err := client.ListObjects(testBucket, "a", marker, "", 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				got = append(got, o.Key)
			}
			if marker = page.NextMarker; marker == "" {
				break
			}
		}
		if diff := cmp.Diff(keys[:5], got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
	t.Run("folders", func(t *testing.T) {
		t.Parallel()
		var got []string
		token := ""
		for {
			page, err := client.ListObjectsV2(testBucket, "a", "", token, "/", 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Contents {
				got = append(got, o.Key)
			}
			for _, p := range page.CommonPrefixes {
				got = append(got, p.Prefix)
			}
			if token = page.NextContinuationToken; token == "" {
				break
			}
		}
		if diff := cmp.Diff([]string{"a.txt", "a/", "a0"}, got); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
	t.Run("what an entry says", func(t *testing.T) {
		t.Parallel()
		page, err := client.ListObjectsV2(testBucket, "b&", "", "", "", 0)
		if err != nil || len(page.Contents) != 1 {
			t.Fatalf("%d objects, %v", len(page.Contents), err)
		}
		o := page.Contents[0]
		if o.Size != 3 || strings.Trim(o.ETag, `"`) != etagOf("b&c") || time.Since(o.LastModified) > time.Minute {
			t.Errorf("entry %+v", o)
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	client, _ := start(t)
	for _, key := range []string{"a", "b", "c&d"} {
		put(t, client, key, key)
	}
	if err := client.RemoveObject(t.Context(), testBucket, "a", miniogo.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	names := make(chan miniogo.ObjectInfo, 1)
	names <- miniogo.ObjectInfo{Key: "c&d"}
	close(names)
	for failed := range client.RemoveObjects(t.Context(), testBucket, names, miniogo.RemoveObjectsOptions{}) {
		t.Error(failed.Err)
	}
	page, err := client.ListObjectsV2(testBucket, "", "", "", "", 0)
	if err != nil || len(page.Contents) != 1 || page.Contents[0].Key != "b" {
		t.Errorf("left: %+v, %v", page.Contents, err)
	}
	if _, err := client.StatObject(t.Context(), testBucket, "a", miniogo.StatObjectOptions{}); codeOf(err) != "NoSuchKey" {
		t.Errorf("stat of a deleted object: %v", err)
	}
}

func TestMultipart(t *testing.T) {
	t.Parallel()
	client, url := start(t)
	id, err := client.NewMultipartUpload(t.Context(), testBucket, "big", miniogo.PutObjectOptions{ContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	var parts []miniogo.CompletePart
	for i, text := range []string{"first ", "second ", "third"} {
		part, err := client.PutObjectPart(t.Context(), testBucket, "big", id, i+1, strings.NewReader(text), int64(len(text)), miniogo.PutObjectPartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, miniogo.CompletePart{PartNumber: part.PartNumber, ETag: part.ETag})
	}
	wrong := []miniogo.CompletePart{parts[0], {PartNumber: 2, ETag: parts[0].ETag}}
	if _, err := client.CompleteMultipartUpload(t.Context(), testBucket, "big", id, wrong, miniogo.PutObjectOptions{}); codeOf(err) != "InvalidPart" {
		t.Errorf("completion with a wrong ETag: %v", err)
	}
	info, err := client.CompleteMultipartUpload(t.Context(), testBucket, "big", id, parts, miniogo.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var sums []byte
	for _, text := range []string{"first ", "second ", "third"} {
		sum := md5.Sum([]byte(text))
		sums = append(sums, sum[:]...)
	}
	if want := etagOf(string(sums)) + "-3"; info.ETag != want {
		t.Errorf("ETag %s, want %s", info.ETag, want)
	}
	var opt miniogo.GetObjectOptions
	if err := opt.SetRange(4, 8); err != nil {
		t.Fatal(err)
	}
	if text := get(t, client, "big", opt); text != "t sec" {
		t.Errorf("a range over two parts: %q", text)
	}
	resp := fetch(t, url+"/"+testBucket+"/big?partNumber=2")
	if resp.body != "second " || resp.header.Get("X-Amz-Mp-Parts-Count") != "3" {
		t.Errorf("part 2: %q of %q parts", resp.body, resp.header.Get("X-Amz-Mp-Parts-Count"))
	}
	if _, err := client.CompleteMultipartUpload(t.Context(), testBucket, "big", id, parts, miniogo.PutObjectOptions{}); codeOf(err) != "NoSuchUpload" {
		t.Errorf("a second completion: %v", err)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	client, _ := start(t)
	put(t, client, "from/a b", "0123456789")
	src := miniogo.CopySrcOptions{Bucket: testBucket, Object: "from/a b"}
	info, err := client.Client.CopyObject(t.Context(), miniogo.CopyDestOptions{Bucket: testBucket, Object: "to"}, src)
	if err != nil {
		t.Fatal(err)
	}
	if info.ETag != etagOf("0123456789") || get(t, client, "to", miniogo.GetObjectOptions{}) != "0123456789" {
		t.Errorf("copy has ETag %s", info.ETag)
	}
	src.MatchETag = etagOf("else")
	if _, err := client.Client.CopyObject(t.Context(), miniogo.CopyDestOptions{Bucket: testBucket, Object: "to"}, src); codeOf(err) != "PreconditionFailed" {
		t.Errorf("copy of another state: %v", err)
	}
	id, err := client.NewMultipartUpload(t.Context(), testBucket, "piece", miniogo.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := client.CopyObjectPart(t.Context(), testBucket, "from/a b", testBucket, "piece", id, 1, 2, 3, nil)
	if err != nil || strings.Trim(part.ETag, `"`) != etagOf("234") {
		t.Errorf("part %+v, %v", part, err)
	}
}

func TestWrongDigestIsRefused(t *testing.T) {
	t.Parallel()
	client, url := start(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/"+testBucket+"/key", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Md5", "1B2M2Y8AsgTpgAmY7PhCfg==") // of nothing
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("status %d", resp.StatusCode)
	}
	if _, err := client.StatObject(t.Context(), testBucket, "key", miniogo.StatObjectOptions{}); codeOf(err) != "NoSuchKey" {
		t.Errorf("stat: %v", err)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	client, url := start(t)
	put(t, client, "a", "1")
	put(t, client, "b", "2")
	get(t, client, "a", miniogo.GetObjectOptions{})
	if _, err := client.ListObjectsV2(testBucket, "", "", "", "", 0); err != nil {
		t.Fatal(err)
	}
	got, err := Requests(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"bucket": 1, "put": 2, "get": 1, "list": 1}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := New(Config{Delay: 10 * time.Millisecond})
		began := time.Now()
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if d := time.Since(began); d != 10*time.Millisecond {
			t.Errorf("answered after %s", d)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/", nil))
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %s for a client that is gone", d)
		}
	})
}

type answer struct {
	header http.Header
	body   string
}

func fetch(t *testing.T, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.Header, string(body)}
}

func FuzzDecodeChunked(f *testing.F) {
	f.Add([]byte("5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"), int64(5))
	f.Add([]byte("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"), int64(0))
	f.Add([]byte("-1\r\n"), int64(-1))
	f.Add([]byte("7fffffffffffffff\r\nx"), int64(1)<<60)
	f.Fuzz(func(t *testing.T, framed []byte, size int64) {
		got, err := decodeChunked(bytes.NewReader(framed), min(size, 1<<20))
		if err == nil && len(got) > len(framed) {
			t.Errorf("%d bytes of %d", len(got), len(framed))
		}
	})
}

func TestDecodeChunked(t *testing.T) {
	t.Parallel()
	const framed = "5;chunk-signature=00\r\nhello\r\n3\r\n, w\r\n4\r\norld\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
	got, err := decodeChunked(strings.NewReader(framed), 12)
	if err != nil || string(got) != "hello, world" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := decodeChunked(strings.NewReader(framed[:30]), 12); err == nil {
		t.Errorf("a payload that is cut decodes to %q", got)
	}
}
