package s3_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"
)

// bare is the plainest S3 client: http.Client, a signature put together from
// strings, no retries, no errors. It is what the driver's cost is held against.
type bare struct {
	base, host, access string
	key                []byte
	day                string
	client             *http.Client
}

func newBare(b *testing.B) *bare {
	b.Helper()
	endpoint := os.Getenv("LOCKSTEP_TEST_S3")
	if endpoint == "" {
		b.Skip("LOCKSTEP_TEST_S3 names no server")
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		b.Fatal(err)
	}
	c := &bare{base: endpoint, host: u.Host, access: os.Getenv("LOCKSTEP_TEST_S3_ACCESS"), client: &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 2 * parallel, DisableCompression: true, ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10,
		ResponseHeaderTimeout: 2 * time.Minute,
	}}}
	c.day = time.Now().UTC().Format("20060102")
	c.key = []byte("AWS4" + os.Getenv("LOCKSTEP_TEST_S3_SECRET"))
	for _, step := range []string{c.day, "us-east-1", "s3", "aws4_request"} {
		c.key = mac(c.key, step)
	}
	b.Cleanup(c.client.CloseIdleConnections)
	return c
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func (c *bare) do(ctx context.Context, method, path string, body io.Reader, size int64) (*http.Response, error) {
	stamp := time.Now().UTC().Format("20060102T150405Z")
	const payload = "UNSIGNED-PAYLOAD"
	canonical := method + "\n" + path + "\n\nhost:" + c.host + "\nx-amz-content-sha256:" + payload + "\nx-amz-date:" + stamp +
		"\n\nhost;x-amz-content-sha256;x-amz-date\n" + payload
	sum := sha256.Sum256([]byte(canonical))
	scope := c.day + "/us-east-1/s3/aws4_request"
	signature := mac(c.key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(sum[:]))
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header["X-Amz-Content-Sha256"] = []string{payload}
	req.Header["X-Amz-Date"] = []string{stamp}
	req.Header["Authorization"] = []string{"AWS4-HMAC-SHA256 Credential=" + c.access + "/" + scope +
		",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" + hex.EncodeToString(signature)}
	resp, err := c.client.Do(req)
	if err == nil && resp.StatusCode/100 != 2 {
		resp.Body.Close()
		err = fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return resp, err
}

func (c *bare) copy(ctx context.Context, dst *bare, from, to string, buf []byte, body *bytes.Reader) error {
	resp, err := c.do(ctx, http.MethodGet, from, nil, 0)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(resp.Body, buf)
	resp.Body.Close()
	if err != nil {
		return err
	}
	body.Reset(buf)
	resp, err = dst.do(ctx, http.MethodPut, to, body, int64(len(buf)))
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close()
}

// BenchmarkBareCopy4K does what BenchmarkCopy4K does.
func BenchmarkBareCopy4K(b *testing.B) {
	put(b, benchBucket(b), "copy/object", make([]byte, 4096))
	src, dst := newBare(b), newBare(b)
	b.SetParallelism(parallel / 2)
	defer cpu(b)()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 4096)
		body := bytes.NewReader(nil)
		for pb.Next() {
			if err := src.copy(b.Context(), dst, "/bench-driver/copy/object", "/bench-driver/copy/other", buf, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBareStream16MiB does what BenchmarkStream16MiB does.
func BenchmarkBareStream16MiB(b *testing.B) {
	const size = 16 << 20
	put(b, benchBucket(b), "stream/object", make([]byte, size))
	src, dst := newBare(b), newBare(b)
	b.SetBytes(size)
	defer cpu(b)()
	for b.Loop() {
		resp, err := src.do(b.Context(), http.MethodGet, "/bench-driver/stream/object", nil, 0)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := dst.do(b.Context(), http.MethodPut, "/bench-driver/stream/other", resp.Body, size)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		resp.Body.Close()
	}
}
