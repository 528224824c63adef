package s3_test

import (
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// config is how to reach a bucket of a fault server.
func config(srv *s3fault.Server, bucket string) s3.Config {
	access, secret := srv.Credentials()
	return s3.Config{Endpoint: srv.URL, Bucket: bucket, AccessKey: access, SecretKey: secret}
}

func open(t testing.TB, cfg s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Service().Close)
	return b
}

// The same suite meets each kind of store the table knows.
func TestContract(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]struct {
		opt      s3fault.Options
		provider string
		override []string
		sign     bool
	}{
		"aws":     {s3fault.Options{EncodedMeta: true}, "aws", nil, false},
		"obs":     {s3fault.Options{V1Only: true, NoEncoding: true, NoNextMarker: true, MinPart: 100 << 10, RefuseChecksums: 400, RefuseConditions: 501}, "obs", nil, false},
		"ceph":    {s3fault.Options{RefuseChecksums: 501, NoPartNumber: true}, "ceph", []string{"part-layout=false"}, false},
		"generic": {s3fault.Options{}, "generic", []string{"non-utf8-keys=true"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && name != "aws" {
				t.Skip("one kind is enough for a short run")
			}
			kind.opt.Buckets = []string{}
			srv := s3fault.New(t, kind.opt)
			cfg := config(srv, "missing")
			cfg.Provider, cfg.Override, cfg.SignPayload = kind.provider, kind.override, kind.sign
			svc, err := s3.NewService(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(svc.Close)
			bucket := func(t *testing.T, name string) objstore.Bucket {
				cfg := cfg
				cfg.Bucket = name
				b, err := svc.Bucket(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket { return bucket(t, srv.MakeBucket()) },
				objstoretest.Missing(func(t *testing.T) objstore.Bucket { return bucket(t, "missing") }))
		})
	}
}

// TestContractServer runs the suite against the server that LOCKSTEP_TEST_S3 names,
// with LOCKSTEP_TEST_S3_ACCESS, _SECRET and _PROVIDER beside it. Buckets are made
// and removed by another client.
func TestContractServer(t *testing.T) {
	t.Parallel()
	endpoint := os.Getenv("LOCKSTEP_TEST_S3")
	if endpoint == "" {
		t.Skip("LOCKSTEP_TEST_S3 names no server")
	}
	cfg := s3.Config{
		Endpoint: endpoint, Bucket: "missing", Provider: os.Getenv("LOCKSTEP_TEST_S3_PROVIDER"),
		AccessKey: os.Getenv("LOCKSTEP_TEST_S3_ACCESS"), SecretKey: os.Getenv("LOCKSTEP_TEST_S3_SECRET"),
	}
	svc, err := s3.NewService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	client := otherClient(t, cfg)
	var made atomic.Int64
	open := func(t *testing.T) objstore.Bucket {
		cfg := cfg
		cfg.Bucket = "lockstep-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatInt(made.Add(1), 10)
		if err := client.MakeBucket(t.Context(), cfg.Bucket, minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		b, err := svc.Bucket(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	}
	objstoretest.TestBucket(t, open, objstoretest.Missing(func(t *testing.T) objstore.Bucket {
		b, err := svc.Bucket(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}))
}

// otherClient is an S3 client that shares nothing with ours.
func otherClient(t *testing.T, cfg s3.Config) *minio.Client {
	t.Helper()
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: u.Scheme == "https", Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
