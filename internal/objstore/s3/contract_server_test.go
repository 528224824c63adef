package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
)

// TestContractVersityGW runs the suite against versitygw.
func TestContractVersityGW(t *testing.T) {
	t.Parallel()
	onServer(t, s3server.VersityGW(t), objstoretest.Defects{Unlisted: []string{".sgwtmp/x"}})
}

// TestContractMinIO runs the suite against MinIO.
func TestContractMinIO(t *testing.T) {
	t.Parallel()
	onServer(t, s3server.MinIO(t), objstoretest.Defects{
		Unlisted: []string{"beside/child", "below/child", "below/child/grandchild"},
		Loses:    []string{"expires"},
	})
}

// kmsKey is what MinIO encrypts with: the name of a key and 32 bytes in base64.
const kmsKey = "MINIO_KMS_SECRET_KEY=test:bG9ja3N0ZXAtdGVzdC1rZXktb2YtMzItYnl0ZXMtMDA="

// TestContractMinIOEncrypts runs the suite against MinIO with a key service.
func TestContractMinIOEncrypts(t *testing.T) {
	t.Parallel()
	onServer(t, s3server.MinIO(t, kmsKey), objstoretest.Defects{
		Unlisted: []string{"beside/child", "below/child", "below/child/grandchild"},
		Loses:    []string{"expires"},
	})
}

// onServer runs the suite with a fresh bucket of srv each time. The provider is
// not named: the driver recognizes the server.
func onServer(t *testing.T, srv s3server.Server, known objstoretest.Defects) {
	t.Helper()
	cfg := s3.Config{Endpoint: srv.Endpoint, Region: srv.Region, Bucket: "missing", AccessKey: srv.AccessKey, SecretKey: srv.SecretKey}
	svc, err := s3.NewService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(svc.Close)
	bucket := func(t *testing.T, name string) *s3.Bucket {
		t.Helper()
		cfg := cfg
		cfg.Bucket = name
		b, err := svc.Bucket(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var made atomic.Int64
	open := func(t *testing.T) objstore.Bucket {
		t.Helper()
		name := fmt.Sprintf("contract-%d", made.Add(1))
		s3server.MakeBucket(t, srv, name)
		b := bucket(t, name)
		if err := b.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	}
	objstoretest.TestBucket(t, open, objstoretest.Known(known),
		objstoretest.Missing(func(t *testing.T) objstore.Bucket { return bucket(t, "missing") }))
}
