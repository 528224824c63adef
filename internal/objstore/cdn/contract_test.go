package cdn_test

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
)

// A bucket whose bytes come from a domain is a bucket like another.
func TestContract(t *testing.T) {
	t.Parallel()
	service, n := mem.NewService(), new(atomic.Int32)
	objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
		b := service.Bucket(fmt.Sprint("bucket", n.Add(1)))
		return newOrigin(t, b).client(t).Wrap(b, cdn.Options{CountTags: true})
	}, objstoretest.Missing(func(t *testing.T) objstore.Bucket {
		b := mem.New("removed")
		b.Remove()
		return newOrigin(t, b).client(t).Wrap(b, cdn.Options{})
	}))
}

// The same with a public bucket of a real S3 server behind the domain, as a CDN would
// have it.
func TestContractVersityGW(t *testing.T) {
	t.Parallel()
	srv := s3server.VersityGW(t)
	at, err := url.Parse(srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := minio.New(at.Host, &minio.Options{Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: srv.Region})
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket {
		name := fmt.Sprint("public-", n.Add(1))
		s3server.MakeBucket(t, srv, name)
		policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + name + `/*"}]}`
		if err := admin.SetBucketPolicy(t.Context(), name, policy); err != nil {
			t.Fatal(err)
		}
		b, err := s3.Open(s3.Config{Endpoint: srv.Endpoint, Region: srv.Region, Bucket: name, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Probe(t.Context()); err != nil { // the driver recognizes the server
			t.Fatal(err)
		}
		o := newOrigin(t, b)
		front := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = at.Scheme, at.Host, ""
			r.Out.URL.RawPath, r.Out.URL.Path = "/"+name+r.In.URL.EscapedPath(), "/"+name+r.In.URL.Path
		}}
		o.answer(func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
			if r.Header.Get("Authorization") != "" {
				t.Error("a request to the domain is signed for the store")
			}
			front.ServeHTTP(w, r)
			return true
		})
		return o.client(t, func(c *cdn.Config) { c.Transport = cdn.NewTransport(time.Minute) }).Wrap(b, cdn.Options{CountTags: true})
	}, objstoretest.Known(objstoretest.Defects{Unlisted: []string{".sgwtmp/x"}}))
}

func TestKeysArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	b, o, through := pair(t)
	for _, key := range append(objstoretest.Keys(), objstoretest.RawKeys()...) {
		if _, err := b.Put(t.Context(), key, strings.NewReader(key), int64(len(key)), objstore.PutOptions{}); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		before := len(o.requests())
		got, err := read(t, through, key, objstore.OpenOptions{})
		if err != nil || got != key {
			t.Errorf("%q reads %q, %v", key, got, err)
			continue
		}
		all := o.requests()[before:]
		if len(all) != 1 || all[0].URL.Path != "/"+key || all[0].Method != http.MethodGet {
			t.Errorf("%q is asked for as %q", key, all[0].RequestURI)
		}
		if strings.Trim(all[0].RequestURI, "/-_.~%abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Errorf("%q is not escaped whole: %q", key, all[0].RequestURI)
		}
	}
}
