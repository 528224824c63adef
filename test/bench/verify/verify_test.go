package verify

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
	"github.com/lockstep-sync/lockstep/test/bench/memserver"
)

// sides are two buckets of one server.
type sides struct {
	src, dst Bucket
	parts    *minio.Core
}

func newSides(t *testing.T) sides {
	t.Helper()
	server := httptest.NewServer(memserver.New(memserver.Config{}))
	t.Cleanup(server.Close)
	client, err := bare.New(bare.Config{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	parts, err := minio.NewCore(strings.TrimPrefix(server.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4("access", "secret", ""), Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := sides{src: Bucket{client, "src"}, dst: Bucket{client, "dst"}, parts: parts}
	for _, name := range []string{"src", "dst"} {
		if err := client.CreateBucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (b Bucket) put(t *testing.T, key string, content []byte) {
	t.Helper()
	if _, err := b.Client.Put(t.Context(), b.Name, key, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

// putParts uploads content in two parts, which gives it an ETag of another kind.
func (s sides) putParts(t *testing.T, key string, content []byte) {
	t.Helper()
	bucket := s.dst.Name
	id, err := s.parts.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var done []minio.CompletePart
	for i, half := range [][]byte{content[:len(content)/2], content[len(content)/2:]} {
		part, err := s.parts.PutObjectPart(t.Context(), bucket, key, id, i+1, bytes.NewReader(half), int64(len(half)), minio.PutObjectPartOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, minio.CompletePart{PartNumber: i + 1, ETag: part.ETag})
	}
	if _, err := s.parts.CompleteMultipartUpload(t.Context(), bucket, key, id, done, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s sides) equal(ctx context.Context, content bool) (Result, error) {
	return Equal(ctx, s.src, s.dst, content)
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func TestEqual(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // 2 MiB
	for name, c := range map[string]struct {
		destination func(t *testing.T, s sides)
		want        Result
		differs     string // what the error must name; "" when the sides are equal
	}{
		"equal": {
			destination: func(*testing.T, sides) {},
			want:        Result{Objects: 3},
		},
		"equal bytes in parts": {
			destination: func(t *testing.T, s sides) { s.putParts(t, "b", content) },
			want:        Result{Objects: 3, Opaque: 1},
		},
		"missing in the middle": {
			destination: func(t *testing.T, s sides) {
				if err := s.dst.Client.Delete(t.Context(), "dst", "b"); err != nil {
					t.Fatal(err)
				}
			},
			differs: `"b" is missing`,
		},
		"missing at the end": {
			destination: func(t *testing.T, s sides) {
				if err := s.dst.Client.Delete(t.Context(), "dst", "c"); err != nil {
					t.Fatal(err)
				}
			},
			differs: `"c" is missing`,
		},
		"one more in the middle": {
			destination: func(t *testing.T, s sides) { s.dst.put(t, "aa", content) },
			differs:     `"aa" is at the destination only`,
		},
		"one more at the end": {
			destination: func(t *testing.T, s sides) { s.dst.put(t, "d", content) },
			differs:     `"d" is at the destination only`,
		},
		"flipped byte": {
			destination: func(t *testing.T, s sides) { s.dst.put(t, "b", flipped(content, 12345)) },
			differs:     `"b": ETag`,
		},
		"shorter": {
			destination: func(t *testing.T, s sides) { s.dst.put(t, "b", content[1:]) },
			differs:     `"b": 2097152 bytes at the source, 2097151`,
		},
		"flipped byte in parts": {
			destination: func(t *testing.T, s sides) { s.putParts(t, "b", flipped(content, 3<<19)) },
			differs:     `"b": bytes near offset 1048576`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSides(t)
			for _, key := range []string{"a", "b", "c"} {
				s.src.put(t, key, content)
				s.dst.put(t, key, content)
			}
			c.destination(t, s)
			got, err := s.equal(t.Context(), true)
			switch {
			case c.differs == "":
				if err != nil || got != c.want {
					t.Errorf("%+v, %v; want %+v", got, err, c.want)
				}
			case !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), c.differs):
				t.Errorf("error %v, want a mismatch with %q", err, c.differs)
			}
		})
	}
}

func TestContentIsReadOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s := newSides(t)
	s.src.put(t, "a", []byte("0123"))
	s.putParts(t, "a", []byte("0123"))
	s.putParts(t, "a", []byte("0124"))
	if got, err := s.equal(t.Context(), false); err != nil || got.Opaque != 1 {
		t.Errorf("%+v, %v: without content an opaque ETag is counted and passed", got, err)
	}
	if _, err := s.equal(t.Context(), true); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v, want a mismatch", err)
	}
}
