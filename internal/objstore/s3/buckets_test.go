package s3

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// A list of buckets is asked of the service's root, with the signature of no bucket.
func TestBuckets(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/" || r.URL.RawQuery != "" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<Error><Code>AccessDenied</Code></Error>`))
			return
		}
		_, _ = w.Write([]byte(`<?xml version="1.0"?><ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>o</ID></Owner>
			<Buckets><Bucket><Name>b</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>a</Name></Bucket></Buckets></ListAllMyBucketsResult>`))
	}))
	defer srv.Close()
	ask := func(ctx context.Context, cfg Config) ([]string, error) {
		svc, err := NewService(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer svc.Close()
		return svc.Buckets(ctx, cfg)
	}
	got, err := ask(t.Context(), Config{Endpoint: srv.URL, AccessKey: "a", SecretKey: "s", VirtualHost: true})
	if err != nil || !slices.Equal(got, []string{"b", "a"}) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := ask(t.Context(), Config{Endpoint: srv.URL, Anonymous: true}); err == nil {
		t.Fatal("an anonymous list is an error here")
	}
	if p := newPlace(nil, "a.b", "eu-central-1", false); p.host != "s3.eu-central-1.amazonaws.com" || p.root != "/a.b" {
		t.Fatalf("%s %s", p.host, p.root)
	}
}
