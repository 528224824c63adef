package s3_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// Every page says what the store's clock was, to the second.
func TestPagesTellTheClock(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-2 * time.Hour, 0, 2 * time.Hour} {
		srv, b := server(t, s3fault.Options{ClockAhead: ahead, PageSize: 1}, "aws")
		for _, k := range []string{"a", "b"} {
			srv.Put("bucket", k, []byte("x"))
		}
		before, n := time.Now(), 0
		for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if said := page.At.Add(-ahead); said.Before(before.Add(-time.Second)) || said.After(time.Now()) {
				t.Errorf("%v ahead: a page of %v, asked for at %v", ahead, page.At, before)
			}
		}
		if n != 2 {
			t.Errorf("%d pages, want 2", n)
		}
	}
}

func TestPagesWithoutADate(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"", "yesterday"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Date"] = nil
			if date != "" {
				w.Header().Set("Date", date)
			}
			_, _ = w.Write([]byte(`<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`))
		}))
		t.Cleanup(srv.Close)
		b := open(t, s3.Config{Endpoint: srv.URL, Bucket: "bucket", Anonymous: true})
		for page, err := range b.List(t.Context(), objstore.ListOptions{}) {
			if err != nil || !page.At.IsZero() {
				t.Errorf("Date %q: page %+v, %v", date, page, err)
			}
		}
	}
}
