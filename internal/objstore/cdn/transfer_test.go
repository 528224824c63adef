package cdn_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// copying is a copier from a bucket through a domain to another bucket of the same
// service, which takes objects over 16 MiB in parts.
func copying(t *testing.T) (src, dst *mem.Bucket, o *origin, do func(key string) transfer.Result) {
	t.Helper()
	svc := mem.NewService()
	src = svc.Bucket("source")
	dst = svc.Bucket("destination", mem.WithCapabilities(func(c *objstore.Capabilities) { c.MaxPut = 16 << 20 }))
	o = newOrigin(t, src)
	through := o.client(t).Wrap(src, cdn.Options{CountTags: true})
	copier := transfer.New(transfer.Config{Src: through, Dst: dst, Retry: retry.Policy{Base: time.Millisecond, Max: time.Millisecond}})
	return src, dst, o, func(key string) transfer.Result {
		info, err := src.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return copier.Do(t.Context(), plan.Item{Key: key, Decision: plan.Decision{Verb: plan.Copy}, Src: info.Object, DstAbsent: true})
	}
}

func ranges(o *origin) (n int) {
	for _, r := range o.requests() {
		if r.Header.Get("Range") != "" {
			n++
		}
	}
	return n
}

// Large objects come in ranges, also where the service could copy them by itself; what
// the bucket has beside the bytes goes along.
func TestCopyThroughADomain(t *testing.T) {
	t.Parallel()
	src, dst, o, do := copying(t)
	data := strings.Repeat("0123456789abcdef", 5<<19) // 40 MiB
	opt := objstore.PutOptions{
		Header: objstore.Header{ContentType: "text/x"}, Meta: map[string]string{"a": "b"}, Tags: map[string]string{"c": "d"},
	}
	if _, err := src.Put(t.Context(), "big", strings.NewReader(data), int64(len(data)), opt); err != nil {
		t.Fatal(err)
	}
	if r := do("big"); r.Outcome != task.Synced || r.Size != int64(len(data)) || len(r.Dropped) != 0 {
		t.Fatalf("%+v", r)
	}
	c, err := dst.Open(t.Context(), "big", objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Body.Close()
	got, err := io.ReadAll(c.Body)
	if err != nil || string(got) != data || c.Header.ContentType != "text/x" || c.Meta["a"] != "b" {
		t.Errorf("%d bytes, %v, %+v", len(got), err, c.Info)
	}
	if tags, err := dst.Tags(t.Context(), "big"); err != nil || tags["c"] != "d" {
		t.Errorf("%v, %v", tags, err)
	}
	if n := ranges(o); n != 3 {
		t.Errorf("%d ranges were asked for", n)
	}
}

// Parts torn off are asked for again; parts of an older state end the copy with nothing
// written and a cause that names the domain.
func TestCopyThroughABadDomain(t *testing.T) {
	t.Parallel()
	src, dst, o, do := copying(t)
	data := strings.Repeat("0123456789abcdef", 5<<19)
	put(t, src, "big", data)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
		if r.Header.Get("Range") != "bytes=16777216-33554431" {
			return false
		}
		select {
		case <-first:
			raw("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 16777216-33554431/41943040\r\nContent-Length: 16777216\r\n\r\ntorn")(w, r)
			return true
		default:
			return false
		}
	})
	if r := do("big"); r.Outcome != task.Synced {
		t.Fatalf("%+v", r)
	}
	if err := dst.Delete(t.Context(), "big", objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
		if r.Header.Get("Range") != "bytes=33554432-41943039" {
			return false
		}
		serve(&relabelled{w, strings.Repeat("0", 32)}, r)
		return true
	})
	r := do("big")
	if r.Outcome != task.Failed || !errors.Is(r.Err, transfer.ErrChanging) || !strings.Contains(r.Err.Error(), o.URL) {
		t.Fatalf("%+v", r)
	}
	if _, err := dst.Stat(t.Context(), "big"); !errors.Is(err, objstore.ErrNotFound) || dst.Uploads() != 0 {
		t.Errorf("%v, %d uploads", err, dst.Uploads())
	}
	o.answer(func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	if r := do("big"); r.Outcome != task.Failed || !errors.Is(r.Err, objstore.ErrUnavailable) {
		t.Errorf("an object that the domain has not: %+v", r)
	}
}
