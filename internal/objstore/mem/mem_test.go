package mem_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
)

func put(t testing.TB, b objstore.Bucket, key, data string, opt objstore.PutOptions) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), opt); err != nil {
		t.Fatal(err)
	}
}

func modTime(t *testing.T, b objstore.Bucket, key string) time.Time {
	t.Helper()
	info, err := b.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime
}

// Every write takes its time from the clock; setting tags is no write of the object.
func TestClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 4, 5, 678, time.UTC)
	b := mem.New("bucket", mem.WithClock(func() time.Time { return now }))
	put(t, b, "key", "x", objstore.PutOptions{})
	first := now
	now = now.Add(time.Hour)
	if err := b.SetTags(t.Context(), "key", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	if got := modTime(t, b, "key"); !got.Equal(first) {
		t.Errorf("ModTime = %v, want %v", got, first)
	}
	if _, err := b.Copy(t.Context(), "copy", objstore.CopySource{Bucket: "bucket", Key: "key"}, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := modTime(t, b, "copy"); !got.Equal(now) {
		t.Errorf("ModTime of a copy = %v, want %v", got, now)
	}
}

// A bubble has a clock of its own and ends only when no goroutine is left.
func TestSynctest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := mem.New("bucket")
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Hour)
				put(t, b, fmt.Sprint("key", i), "x", objstore.PutOptions{})
			})
		}
		wg.Wait()
		if got := modTime(t, b, "key9").Sub(start); got != 9*time.Hour {
			t.Errorf("ModTime is %v after the start, want 9h", got)
		}
	})
}

func TestService(t *testing.T) {
	t.Parallel()
	s := mem.NewService()
	a := s.Bucket("a")
	if s.Bucket("a") != a {
		t.Error("a second look gives another bucket")
	}
	if id, other := a.Identity(), mem.New("a").Identity(); id.Service == other.Service || id.Service != s.Bucket("b").Identity().Service {
		t.Errorf("service %q, another is %q, of a second bucket %q", id.Service, other.Service, s.Bucket("b").Identity().Service)
	}
	put(t, a, "key", "x", objstore.PutOptions{})
	_, err := mem.New("b").Copy(t.Context(), "key", objstore.CopySource{Bucket: "a", Key: "key"}, objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrBucketNotFound) {
		t.Errorf("Copy from another service = %v, want ErrBucketNotFound", err)
	}
}

// A bucket that is removed takes open reads to their end and refuses everything else.
func TestRemove(t *testing.T) {
	t.Parallel()
	b := mem.New("bucket")
	put(t, b, "key", "content", objstore.PutOptions{})
	c, err := b.Open(t.Context(), "key", objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.Remove()
	if got, err := io.ReadAll(c.Body); err != nil || string(got) != "content" {
		t.Errorf("open body reads %q, %v", got, err)
	}
	if err := c.Body.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := c.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Read after Close = %v, want an error", err)
	}
	id := "upload-1"
	_, partErr := b.PutPart(t.Context(), "key", id, 1, strings.NewReader("x"), 1, objstore.PartOptions{})
	_, manyErr := b.DeleteMany(t.Context(), []string{"key"})
	for what, err := range map[string]error{
		"Delete": b.Delete(t.Context(), "key", objstore.DeleteOptions{}), "DeleteMany": manyErr, "PutPart": partErr,
		"AbortMultipart": b.AbortMultipart(t.Context(), "key", id), "SetTags": b.SetTags(t.Context(), "key", nil),
	} {
		if !errors.Is(err, objstore.ErrBucketNotFound) {
			t.Errorf("%s in a removed bucket = %v, want ErrBucketNotFound", what, err)
		}
	}
}

// Limits are those of the capabilities, which a test may lower.
func TestLimits(t *testing.T) {
	t.Parallel()
	b := mem.New("bucket", mem.WithCapabilities(func(c *objstore.Capabilities) {
		c.MaxPut, c.MinPart, c.MaxPart, c.MaxParts, c.MaxCopy, c.MaxMeta = 10, 3, 5, 2, 8, 4
	}))
	ctx := t.Context()
	put(t, b, "ten", "0123456789", objstore.PutOptions{Class: "STANDARD", Meta: map[string]string{"a": "123"}})
	_, tooMuch := b.Put(ctx, "eleven", strings.NewReader("0123456789a"), 11, objstore.PutOptions{})
	_, meta := b.Put(ctx, "meta", strings.NewReader(""), 0, objstore.PutOptions{Meta: map[string]string{"a": "1234"}})
	_, negative := b.Put(ctx, "negative", strings.NewReader(""), -1, objstore.PutOptions{})
	_, bigCopy := b.Copy(ctx, "copy", objstore.CopySource{Bucket: "bucket", Key: "ten"}, objstore.PutOptions{})
	id, err := b.CreateMultipart(ctx, "parts", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	part := func(number int, data string) (objstore.Part, error) {
		return b.PutPart(ctx, "parts", id, number, strings.NewReader(data), int64(len(data)), objstore.PartOptions{})
	}
	_, bigPart := part(1, "123456")
	_, third := part(3, "1")
	one, _ := part(1, "12")
	two, _ := part(2, "1")
	_, small := b.CompleteMultipart(ctx, "parts", id, []objstore.Part{one, two}, objstore.CompleteOptions{})
	_, backwards := b.CompleteMultipart(ctx, "parts", id, []objstore.Part{two, one}, objstore.CompleteOptions{})
	for what, got := range map[string]struct{ err, want error }{
		"Put over MaxPut": {tooMuch, objstore.ErrTooLarge}, "Put over MaxMeta": {meta, objstore.ErrInvalid}, "Put of a negative size": {negative, objstore.ErrInvalid},
		"Copy over MaxCopy": {bigCopy, objstore.ErrTooLarge}, "PutPart over MaxPart": {bigPart, objstore.ErrTooLarge}, "PutPart over MaxParts": {third, objstore.ErrInvalid},
		"part under MinPart": {small, objstore.ErrInvalid}, "parts backwards": {backwards, objstore.ErrInvalid},
	} {
		if !errors.Is(got.err, got.want) {
			t.Errorf("%s = %v, want %v", what, got.err, got.want)
		}
	}
	if b.Len() != 1 || b.Uploads() != 1 {
		t.Errorf("%d objects and %d uploads, want 1 and 1", b.Len(), b.Uploads())
	}
	one, _ = part(1, "123")
	if _, err := b.CompleteMultipart(ctx, "parts", id, []objstore.Part{one, two}, objstore.CompleteOptions{}); err != nil {
		t.Errorf("CompleteMultipart within the limits = %v", err)
	}
	if b.Uploads() != 0 {
		t.Errorf("%d uploads are left", b.Uploads())
	}
}

// The storage class is kept as named; the standard one has no name.
func TestClass(t *testing.T) {
	t.Parallel()
	b := mem.New("bucket")
	put(t, b, "cold", "", objstore.PutOptions{Class: "GLACIER"})
	put(t, b, "plain", "", objstore.PutOptions{Class: "STANDARD"})
	got := map[string]string{}
	for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			got[o.Key] = o.Class
		}
	}
	if diff := cmp.Diff(map[string]string{"cold": "GLACIER", "plain": ""}, got); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
}

// BenchmarkMillion lists a bucket of 1,000,000 keys while it is written to; the
// cost of a page must not depend on the number of keys.
func BenchmarkMillion(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		bucket := mem.New("bucket")
		start := time.Now()
		for i := range n {
			put(b, bucket, fmt.Sprintf("dir/%09d", i*7919%n), "", objstore.PutOptions{})
		}
		fill := time.Since(start)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				put(b, bucket, fmt.Sprintf("dir/%09d+", i*7919%n), "", objstore.PutOptions{})
				for _, err := range bucket.List(b.Context(), objstore.ListOptions{After: fmt.Sprintf("dir/%09d", i*104729%n)}) {
					if err != nil {
						b.Fatal(err)
					}
					break
				}
			}
			b.ReportMetric(float64(fill.Nanoseconds())/float64(n), "fill-ns/key")
		})
	}
}
