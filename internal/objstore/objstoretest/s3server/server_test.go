package s3server_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

func TestVersityGW(t *testing.T) {
	t.Parallel()
	testServer(t, func(t testing.TB) s3server.Server { return s3server.VersityGW(t) })
}

func TestMinIO(t *testing.T) {
	t.Parallel()
	testServer(t, func(t testing.TB) s3server.Server { return s3server.MinIO(t) })
}

// testServer: the server keeps an object with its metadata, obeys its keys, is
// apart from a second one, and is gone when its test has ended.
func testServer(t *testing.T, start func(testing.TB) s3server.Server) {
	var host string
	t.Run("serves", func(t *testing.T) {
		srv, other := start(t), start(t)
		host = strings.TrimPrefix(srv.Endpoint, "http://")
		client := dial(t, srv, srv.SecretKey)
		s3server.MakeBucket(t, srv, "bucket")
		opt := minio.PutObjectOptions{UserMetadata: map[string]string{"Owner": "tester"}}
		if _, err := client.PutObject(t.Context(), "bucket", "a/b", bytes.NewReader([]byte("content")), 7, opt); err != nil {
			t.Fatal(err)
		}
		obj, err := client.GetObject(t.Context(), "bucket", "a/b", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(obj); err != nil || string(got) != "content" {
			t.Fatalf("read %q, %v", got, err)
		}
		if info, err := obj.Stat(); err != nil || info.UserMetadata["Owner"] != "tester" {
			t.Fatalf("metadata %v, %v", info.UserMetadata, err)
		}
		if _, err := dial(t, srv, "not the secret").ListBuckets(t.Context()); minio.ToErrorResponse(err).Code != "SignatureDoesNotMatch" {
			t.Errorf("a wrong secret is answered %v", err)
		}
		if buckets, err := dial(t, other, other.SecretKey).ListBuckets(t.Context()); err != nil || len(buckets) != 0 {
			t.Errorf("a second server holds %v, %v", buckets, err)
		}
	})
	if host == "" {
		t.Skip("no server")
	}
	if c, err := new(net.Dialer).DialContext(t.Context(), "tcp", host); err == nil {
		_ = c.Close()
		t.Error("the server outlives its test")
	}
}

func dial(t *testing.T, srv s3server.Server, secret string) *minio.Client {
	t.Helper()
	client, err := minio.New(strings.TrimPrefix(srv.Endpoint, "http://"), &minio.Options{
		Creds:  credentials.NewStaticV4(srv.AccessKey, secret, ""),
		Region: srv.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
