package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// The benchmarks use the server that LOCKSTEP_TEST_S3 names, so that cpu-µs/op is
// the client's alone; else one in this process, whose work is then in the figures.

func benchBucket(b *testing.B) *s3.Bucket {
	b.Helper()
	endpoint := os.Getenv("LOCKSTEP_TEST_S3")
	if endpoint == "" {
		srv := s3fault.New(b, s3fault.Options{Anonymous: true})
		return open(b, config(srv, "bucket"))
	}
	cfg := s3.Config{
		Endpoint: endpoint, Bucket: "bench-driver", Provider: os.Getenv("LOCKSTEP_TEST_S3_PROVIDER"),
		AccessKey: os.Getenv("LOCKSTEP_TEST_S3_ACCESS"), SecretKey: os.Getenv("LOCKSTEP_TEST_S3_SECRET"),
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		b.Fatal(err)
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Region: "us-east-1"})
	if err != nil {
		b.Fatal(err)
	}
	if ok, err := client.BucketExists(b.Context(), cfg.Bucket); err != nil || !ok {
		if err := client.MakeBucket(b.Context(), cfg.Bucket, minio.MakeBucketOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	return open(b, cfg)
}

// cpu reports the process's CPU time per operation.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op") }
}

// parallel is how many requests are under way, as in a sync.
const parallel = 32

func put(b *testing.B, dst objstore.Bucket, key string, data []byte) {
	b.Helper()
	if _, err := dst.Put(b.Context(), key, bytes.NewReader(data), int64(len(data)), objstore.PutOptions{}); err != nil {
		b.Fatal(err)
	}
}

func get(ctx context.Context, src objstore.Bucket, key string, into []byte) error {
	c, err := src.Open(ctx, key, objstore.OpenOptions{})
	if err != nil {
		return err
	}
	defer c.Body.Close()
	_, err = io.ReadFull(c.Body, into)
	return err
}

func BenchmarkGet4K(b *testing.B) {
	bucket := benchBucket(b)
	put(b, bucket, "get/object", make([]byte, 4096))
	b.SetParallelism(parallel / 2)
	defer cpu(b)()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 4096)
		for pb.Next() {
			if err := get(b.Context(), bucket, "get/object", buf); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPut4K(b *testing.B) {
	bucket := benchBucket(b)
	b.SetParallelism(parallel / 2)
	defer cpu(b)()
	b.RunParallel(func(pb *testing.PB) {
		data := make([]byte, 4096)
		body := bytes.NewReader(nil)
		for pb.Next() {
			body.Reset(data)
			if _, err := bucket.Put(b.Context(), "put/object", body, 4096, objstore.PutOptions{}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkCopy4K is what a small object costs: a GET and a PUT.
func BenchmarkCopy4K(b *testing.B) {
	src, dst := benchBucket(b), benchBucket(b)
	put(b, src, "copy/object", make([]byte, 4096))
	b.SetParallelism(parallel / 2)
	defer cpu(b)()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 4096)
		body := bytes.NewReader(nil)
		for pb.Next() {
			err := get(b.Context(), src, "copy/object", buf)
			body.Reset(buf)
			if err == nil {
				_, err = dst.Put(b.Context(), "copy/other", body, 4096, objstore.PutOptions{})
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkStream16MiB(b *testing.B) {
	const size = 16 << 20
	src, dst := benchBucket(b), benchBucket(b)
	put(b, src, "stream/object", make([]byte, size))
	b.SetBytes(size)
	defer cpu(b)()
	for b.Loop() {
		c, err := src.Open(b.Context(), "stream/object", objstore.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := dst.Put(b.Context(), "stream/other", c.Body, c.Length, objstore.PutOptions{}); err != nil {
			b.Fatal(err)
		}
		c.Body.Close()
	}
}

func BenchmarkListPage(b *testing.B) {
	bucket := benchBucket(b)
	for i := range 1000 {
		put(b, bucket, fmt.Sprintf("list/p%02d/obj-%06d.bin", i%100, i), []byte("x"))
	}
	defer cpu(b)()
	for b.Loop() {
		n := 0
		for page, err := range bucket.List(b.Context(), objstore.ListOptions{Prefix: "list/"}) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(page.Objects)
		}
		if n != 1000 {
			b.Fatalf("%d objects", n)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	bucket := benchBucket(b)
	put(b, bucket, "head/object", make([]byte, 4096))
	defer cpu(b)()
	for b.Loop() {
		if _, err := bucket.Stat(b.Context(), "head/object"); err != nil {
			b.Fatal(err)
		}
	}
}
