package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

// server returns a fault server and a bucket of it.
func server(t *testing.T, opt s3fault.Options, provider string) (*s3fault.Server, *s3.Bucket) {
	t.Helper()
	srv := s3fault.New(t, opt)
	cfg := config(srv, "bucket")
	cfg.Provider = provider
	return srv, open(t, cfg)
}

func store(ctx context.Context, b objstore.Bucket, key, data string, opt objstore.PutOptions) (objstore.Written, error) {
	return b.Put(ctx, key, strings.NewReader(data), int64(len(data)), opt)
}

func load(ctx context.Context, b objstore.Bucket, key string, opt objstore.OpenOptions) (string, error) {
	c, err := b.Open(ctx, key, opt)
	if err != nil {
		return "", err
	}
	defer c.Body.Close()
	data, err := io.ReadAll(c.Body)
	return string(data), err
}

func keysOf(ctx context.Context, b objstore.Bucket, opt objstore.ListOptions) (keys []string, err error) {
	for page, err := range b.List(ctx, opt) {
		if err != nil {
			return keys, err
		}
		for _, o := range page.Objects {
			keys = append(keys, o.Key)
		}
	}
	return keys, nil
}

// What a store says becomes a sentinel, for verbs with a body in the answer and without.
func TestAnswersBecomeSentinels(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	for _, c := range []struct {
		fault s3fault.Fault
		want  error
	}{
		{s3fault.Fault{Kind: s3fault.SlowDown}, objstore.ErrThrottled},
		{s3fault.Fault{Status: 429, Code: "TooManyRequests"}, objstore.ErrThrottled},
		{s3fault.Fault{Status: 429, NoBody: true}, objstore.ErrThrottled},
		{s3fault.Fault{Status: 400, Code: "RequestLimitExceeded"}, objstore.ErrThrottled},
		{s3fault.Fault{Status: 500, Code: "InternalError"}, objstore.ErrUnavailable},
		{s3fault.Fault{Status: 502, NoBody: true}, objstore.ErrUnavailable},
		{s3fault.Fault{Status: 503, NoBody: true}, objstore.ErrUnavailable},
		{s3fault.Fault{Status: 504, NoBody: true}, objstore.ErrUnavailable},
		{s3fault.Fault{Kind: s3fault.Reset}, objstore.ErrUnavailable},
		{s3fault.Fault{Status: 409, Code: "ConditionalRequestConflict"}, objstore.ErrUnavailable},
		{s3fault.Fault{Status: 404, Code: "NoSuchKey"}, objstore.ErrNotFound},
		{s3fault.Fault{Status: 404, Code: "NoSuchBucket"}, objstore.ErrBucketNotFound},
		{s3fault.Fault{Status: 404, NoBody: true}, objstore.ErrNotFound},
		{s3fault.Fault{Status: 403, Code: "AccessDenied"}, objstore.ErrDenied},
		{s3fault.Fault{Status: 403, NoBody: true}, objstore.ErrDenied},
		{s3fault.Fault{Status: 403, Code: "InvalidAccessKeyId"}, objstore.ErrCredentials},
		{s3fault.Fault{Status: 403, Code: "SignatureDoesNotMatch"}, objstore.ErrCredentials},
		{s3fault.Fault{Status: 400, Code: "ExpiredToken"}, objstore.ErrCredentials},
		{s3fault.Fault{Status: 412, Code: "PreconditionFailed"}, objstore.ErrPrecondition},
		{s3fault.Fault{Status: 412, NoBody: true}, objstore.ErrPrecondition},
		{s3fault.Fault{Status: 403, Code: "InvalidObjectState"}, objstore.ErrArchived},
		{s3fault.Fault{Status: 400, Code: "BadDigest"}, objstore.ErrChecksum},
		{s3fault.Fault{Status: 400, Code: "XAmzContentChecksumMismatch"}, objstore.ErrChecksum},
		{s3fault.Fault{Status: 400, Code: "EntityTooLarge"}, objstore.ErrTooLarge},
		{s3fault.Fault{Status: 403, Code: "QuotaExceeded"}, objstore.ErrFull},
		{s3fault.Fault{Status: 507, Code: "XMinioStorageFull"}, objstore.ErrFull},
		{s3fault.Fault{Status: 400, Code: "KeyTooLongError"}, objstore.ErrKey},
		{s3fault.Fault{Status: 400, Code: "XMinioInvalidObjectName"}, objstore.ErrKey},
		{s3fault.Fault{Status: 501, Code: "NotImplemented"}, objstore.ErrUnsupported},
		{s3fault.Fault{Status: 400, Code: "InvalidArgument"}, objstore.ErrInvalid},
		{s3fault.Fault{Status: 302, NoBody: true}, objstore.ErrInvalid},
	} {
		c.fault.Runs = -1
		c.fault.Key = "key"
		for _, op := range []string{"get", "put", "put-part", "complete"} {
			one := c.fault
			one.Op = op
			srv.Clear()
			srv.Inject(one)
			var err error
			switch op {
			case "get":
				_, err = load(t.Context(), b, "key", objstore.OpenOptions{})
			case "put":
				_, err = store(t.Context(), b, "key", "data", objstore.PutOptions{})
			case "put-part":
				_, err = b.PutPart(t.Context(), "key", "upload", 1, strings.NewReader("data"), 4, objstore.PartOptions{})
			case "complete":
				_, err = b.CompleteMultipart(t.Context(), "key", "upload", []objstore.Part{{Number: 1}}, objstore.CompleteOptions{})
			}
			var e *objstore.Error
			if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Key != "key" {
				t.Errorf("%s answered %+v = %v, want %v", op, one, err, c.want)
				continue
			}
			if want := one.Status == 404 && one.NoBody; objstore.Unconfirmed(err) != want {
				t.Errorf("%s answered %+v: unconfirmed is not %v", op, one, want)
			}
			if one.Kind == s3fault.SlowDown && objstore.RetryAfter(err) != time.Second {
				t.Errorf("%s: retry after %v", op, objstore.RetryAfter(err))
			}
			if !one.NoBody && one.Status != 0 && (e.Status != one.Status || e.Code != one.Code || e.RequestID == "") {
				t.Errorf("%s answered %+v: error holds %+v", op, one, *e)
			}
		}
	}
}

// A HEAD is refused without words.
func TestHeadWithoutWords(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{SilentMissing: true}, "aws")
	if _, err := b.Stat(t.Context(), "none"); !errors.Is(err, objstore.ErrNotFound) || !objstore.Unconfirmed(err) {
		t.Errorf("Stat of a missing key = %v", err)
	}
	if err := b.Probe(t.Context()); err != nil {
		t.Errorf("Probe = %v", err)
	}
	// A bucket that is gone looks the same, and Probe tells them apart.
	srv.DropBucket("bucket")
	for what, err := range map[string]error{
		"Stat": second(b.Stat(t.Context(), "none")),
		"Open": second(b.Open(t.Context(), "none", objstore.OpenOptions{})),
	} {
		if !objstore.Unconfirmed(err) {
			t.Errorf("%s in a missing bucket = %v, which claims to know", what, err)
		}
	}
	if err := b.Probe(t.Context()); !errors.Is(err, objstore.ErrBucketNotFound) {
		t.Errorf("Probe = %v", err)
	}
	if err := b.Delete(t.Context(), "none", objstore.DeleteOptions{}); !errors.Is(err, objstore.ErrBucketNotFound) {
		t.Errorf("Delete in a missing bucket = %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWrongRegionIsLearned(t *testing.T) {
	t.Parallel()
	for name, silent := range map[string]bool{"malformed": false, "redirect": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, b := server(t, s3fault.Options{Region: "eu-central-1", SilentRegion: silent}, "aws")
			body := strings.Repeat("x", 100_000) // streamed, and sent again
			if _, err := store(t.Context(), b, "key", body, objstore.PutOptions{}); err != nil {
				t.Fatalf("Put = %v", err)
			}
			if got, err := load(t.Context(), b, "key", objstore.OpenOptions{}); err != nil || got != body {
				t.Fatalf("Open = %d bytes, %v", len(got), err)
			}
			if n := len(srv.Requests("")); n != 3 {
				t.Errorf("%d requests, want 3: the region is asked for once", n)
			}
		})
	}
}

// A HEAD learns the region from a header alone.
func TestHeadLearnsRegion(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{Region: "eu-central-1", SilentRegion: true}, "aws")
	srv.Put("bucket", "key", []byte("data"))
	if info, err := b.Stat(t.Context(), "key"); err != nil || info.Size != 4 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
}

// A body that cannot be read twice is not sent in part: the next try is right.
func TestRegionLearnedByAStream(t *testing.T) {
	t.Parallel()
	_, b := server(t, s3fault.Options{Region: "eu-central-1"}, "aws")
	data := strings.Repeat("x", 100_000)
	stream := func() io.Reader { return io.MultiReader(strings.NewReader(data)) }
	_, err := b.Put(t.Context(), "key", stream(), int64(len(data)), objstore.PutOptions{})
	if !objstore.Transient(err) {
		t.Fatalf("first Put = %v, want a transient error", err)
	}
	if _, err = b.Put(t.Context(), "key", stream(), int64(len(data)), objstore.PutOptions{}); err != nil {
		t.Errorf("second Put = %v", err)
	}
}

func TestClockIsLearned(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-3 * time.Hour, 26 * time.Hour} {
		srv, b := server(t, s3fault.Options{ClockAhead: ahead}, "aws")
		if _, err := store(t.Context(), b, "key", "data", objstore.PutOptions{}); err != nil {
			t.Errorf("Put with a clock %v ahead = %v", ahead, err)
		}
		if info, err := b.Stat(t.Context(), "key"); err != nil || info.Size != 4 {
			t.Errorf("Stat with a clock %v ahead = %v", ahead, err)
		}
		if n := len(srv.Requests("")); n != 3 {
			t.Errorf("%d requests, want 3: the clock is asked for once", n)
		}
		// Alone, without words.
		_, fresh := server(t, s3fault.Options{ClockAhead: ahead}, "aws")
		if _, err := fresh.Stat(t.Context(), "key"); !errors.Is(err, objstore.ErrNotFound) {
			t.Errorf("first Stat with a clock %v ahead = %v", ahead, err)
		}
	}
	srv, b := server(t, s3fault.Options{SkewForever: true}, "aws")
	if _, err := store(t.Context(), b, "key", "data", objstore.PutOptions{}); !errors.Is(err, objstore.ErrClockSkew) {
		t.Errorf("Put = %v, want ErrClockSkew", err)
	}
	if n := len(srv.Requests("")); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// What a store lacks is unlearned, once, and the request goes on without it.
func TestRefusedHeadersAreUnlearned(t *testing.T) {
	t.Parallel()
	sum := objstore.Checksum{Sum: objstore.UpdateCRC64(0, []byte("data")), Set: true}
	for name, c := range map[string]struct {
		opt     s3fault.Options
		put     objstore.PutOptions
		dropped string
		off     func(objstore.Capabilities) bool
	}{
		"checksums 400": {s3fault.Options{RefuseChecksums: 400}, objstore.PutOptions{CRC64: sum}, "", func(c objstore.Capabilities) bool { return !c.ChecksumPut && !c.ChecksumComplete }},
		"checksums 501": {s3fault.Options{RefuseChecksums: 501}, objstore.PutOptions{CRC64: sum}, "", func(c objstore.Capabilities) bool { return !c.ChecksumPut }},
		"conditions 501": {s3fault.Options{RefuseConditions: 501}, objstore.PutOptions{IfAbsent: true}, "", func(c objstore.Capabilities) bool {
			return c.Conditional == objstore.ConditionalNone
		}},
		"both": {s3fault.Options{RefuseConditions: 501, RefuseChecksums: 501}, objstore.PutOptions{IfAbsent: true, CRC64: sum}, "", func(c objstore.Capabilities) bool {
			return c.Conditional == objstore.ConditionalNone && !c.ChecksumPut
		}},
		"tags": {s3fault.Options{RefuseTagging: 501}, objstore.PutOptions{Tags: map[string]string{"a": "b"}}, "", func(c objstore.Capabilities) bool { return c.Tags }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, b := server(t, c.opt, "aws")
			for i := range 2 {
				w, err := store(t.Context(), b, "key"+string(rune('0'+i)), "data", c.put)
				if err != nil || strings.Join(w.Dropped, ",") != c.dropped {
					t.Fatalf("Put = %+v, %v", w, err)
				}
			}
			if !c.off(b.Capabilities()) {
				t.Errorf("Capabilities = %+v", b.Capabilities())
			}
			puts := srv.Requests("put")
			if puts[0].Status == 200 {
				t.Error("nothing was refused: the request did without from the beginning")
			}
			if last := puts[len(puts)-1]; last.Status != 200 || puts[len(puts)-2].Status != 200 {
				t.Errorf("the second object was refused too: %d, %d", puts[len(puts)-2].Status, last.Status)
			}
			if tags, err := b.Tags(t.Context(), "key1"); err != nil || len(tags) != len(c.put.Tags) {
				t.Errorf("Tags = %v, %v", tags, err)
			}
		})
	}
}

// A refusal that only looks like one of a header changes nothing.
func TestOtherRefusalsAreNotUnlearned(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	before := b.Capabilities()
	srv.Inject(s3fault.Fault{Op: "put", Status: 400, Code: "InvalidArgument", Message: "something else"})
	srv.Inject(s3fault.Fault{Op: "put", Status: 400, Code: "BadDigest", Message: "The checksum did not match"})
	opt := objstore.PutOptions{IfAbsent: true, CRC64: objstore.Checksum{Set: true}}
	for _, want := range []error{objstore.ErrInvalid, objstore.ErrChecksum} {
		if _, err := store(t.Context(), b, "key", "data", opt); !errors.Is(err, want) {
			t.Errorf("Put = %v, want %v", err, want)
		}
	}
	if b.Capabilities() != before {
		t.Errorf("Capabilities = %+v", b.Capabilities())
	}
	// A class or a tag the store dislikes is that object's loss alone.
	srv.Inject(s3fault.Fault{Op: "put", Status: 400, Code: "InvalidStorageClass"})
	w, err := store(t.Context(), b, "key", "data", objstore.PutOptions{Class: "ODD"})
	if err != nil || strings.Join(w.Dropped, ",") != "storage-class" {
		t.Errorf("Put = %+v, %v", w, err)
	}
	srv.Inject(s3fault.Fault{Op: "put", Status: 400, Code: "InvalidTag"})
	srv.Inject(s3fault.Fault{Op: "set-tags", Status: 400, Code: "InvalidTag"})
	w, err = store(t.Context(), b, "key", "data", objstore.PutOptions{Tags: map[string]string{"odd": "x"}})
	if err != nil || strings.Join(w.Dropped, ",") != "tags" {
		t.Errorf("Put = %+v, %v", w, err)
	}
	if b.Capabilities() != before {
		t.Errorf("Capabilities = %+v", b.Capabilities())
	}
}

// A reply that is lost after the write is an error like any other: only the
// caller can find out.
func TestLostReply(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	srv.Inject(s3fault.Fault{Op: "put", Kind: s3fault.LostReply})
	_, err := store(t.Context(), b, "key", "data", objstore.PutOptions{IfAbsent: true})
	if !objstore.Transient(err) {
		t.Errorf("Put = %v", err)
	}
	if data, ok := srv.Get("bucket", "key"); !ok || string(data) != "data" {
		t.Errorf("the server holds %q", data)
	}
	if n := srv.Count("put"); n != 1 {
		t.Errorf("%d puts: a conditional write was repeated into its own result", n)
	}
}

// A connection kept open that died is found out by the next request, which is
// repeated when its body can be.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	if _, err := store(t.Context(), b, "key", "data", objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		srv.HTTP.CloseClientConnections()
		if _, err := store(t.Context(), b, "key", "more", objstore.PutOptions{}); err != nil {
			t.Fatalf("Put on a dead connection = %v", err)
		}
		srv.HTTP.CloseClientConnections()
		if got, err := load(t.Context(), b, "key", objstore.OpenOptions{}); err != nil || got != "more" {
			t.Fatalf("Open on a dead connection = %q, %v", got, err)
		}
	}
}

func TestTornBodies(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	srv.Put("bucket", "key", bytes.Repeat([]byte("x"), 300_000))
	srv.Inject(s3fault.Fault{Op: "get", Kind: s3fault.Torn})
	got, err := load(t.Context(), b, "key", objstore.OpenOptions{})
	if !errors.Is(err, objstore.ErrUnavailable) || len(got) != 150_000 {
		t.Errorf("a torn body gives %d bytes, %v", len(got), err)
	}
	srv.Inject(s3fault.Fault{Op: "list", Kind: s3fault.Torn})
	if keys, err := keysOf(t.Context(), b, objstore.ListOptions{}); !errors.Is(err, objstore.ErrUnavailable) || len(keys) > 0 {
		t.Errorf("a torn page gives %q, %v", keys, err)
	}
	srv.Inject(s3fault.Fault{Op: "complete", Kind: s3fault.Torn})
	if _, err := b.CompleteMultipart(t.Context(), "key", "none", []objstore.Part{{Number: 1}}, objstore.CompleteOptions{}); err == nil {
		t.Error("a torn completion succeeds")
	}
}

// Success is announced before the work is done, and then it fails.
func TestErrorUnderSuccess(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	srv.Put("bucket", "from", []byte("x"))
	for _, op := range []string{"complete", "copy", "copy-part"} {
		srv.Inject(s3fault.Fault{Op: op, Kind: s3fault.Errors200, Code: "InternalError"})
	}
	_, err1 := b.CompleteMultipart(t.Context(), "key", "upload", []objstore.Part{{Number: 1, ETag: "e"}}, objstore.CompleteOptions{})
	src := objstore.CopySource{Bucket: "bucket", Key: "from"}
	_, err2 := b.Copy(t.Context(), "to", src, objstore.PutOptions{})
	_, err3 := b.CopyPart(t.Context(), "to", "upload", 1, src)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, objstore.ErrUnavailable) {
			t.Errorf("an error under 200 = %v", err)
		}
	}
}

// A server that answers before it has read the body ends the request, not the test.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	for _, size := range []int{100, 200_000, 8 << 20} {
		srv.Inject(s3fault.Fault{Op: "put", Kind: s3fault.Early, Status: 403, Code: "AccessDenied"})
		body := io.MultiReader(bytes.NewReader(make([]byte, size)))
		_, err := b.Put(t.Context(), "key", body, int64(size), objstore.PutOptions{})
		// The connection may be gone before the answer was read.
		if !errors.Is(err, objstore.ErrDenied) && !objstore.Transient(err) {
			t.Errorf("early answer to %d bytes = %v", size, err)
		}
	}
}

// A store that ignores what was asked is found out.
func TestStoreIgnoresTheQuestion(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{NoRange: true, NoPartNumber: true, NoIfMatch: true}, "aws")
	srv.Put("bucket", "key", []byte("0123456789"))
	for _, c := range []struct {
		opt  objstore.OpenOptions
		want string
		err  error
	}{
		{objstore.OpenOptions{Offset: 3}, "3456789", nil},
		{objstore.OpenOptions{Offset: 3, Length: 4}, "3456", nil},
		{objstore.OpenOptions{Length: 100}, "0123456789", nil},
		{objstore.OpenOptions{Offset: 10, Length: 1}, "", objstore.ErrInvalid},
		{objstore.OpenOptions{IfMatch: "another"}, "", objstore.ErrPrecondition},
		{objstore.OpenOptions{Part: 1}, "", objstore.ErrUnsupported},
	} {
		if got, err := load(t.Context(), b, "key", c.opt); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Open(%+v) = %q, %v; want %q, %v", c.opt, got, err, c.want, c.err)
		}
	}
	if b.Capabilities().PartLayout {
		t.Error("parts are still claimed")
	}
}

// A redirect that names no region leads nowhere.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{}, "aws")
	srv.Inject(s3fault.Fault{Op: "get", Status: http.StatusTemporaryRedirect, Code: "TemporaryRedirect"})
	if _, err := load(t.Context(), b, "key", objstore.OpenOptions{}); !errors.Is(err, objstore.ErrInvalid) {
		t.Errorf("Open = %v", err)
	}
	if n := len(srv.Requests("")); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A HEAD says nothing of why it is refused: the bucket is asked.
func TestStatRefusedWithoutWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{400, "ExpiredToken", objstore.ErrCredentials},
		{403, "InvalidAccessKeyId", objstore.ErrCredentials},
		{403, "RequestTimeTooSkewed", objstore.ErrClockSkew},
		{403, "AccessDenied", objstore.ErrDenied},
		{400, "BadRequest", objstore.ErrInvalid},
	} {
		srv, b := server(t, s3fault.Options{}, "aws")
		srv.Inject(s3fault.Fault{Runs: -1, Kind: s3fault.Answer, Status: c.status, Code: c.code})
		if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, c.want) {
			t.Errorf("Stat refused by %s: %v, want %v", c.code, err, c.want)
		}
	}
	// Only of this key: the bucket answers.
	srv, b := server(t, s3fault.Options{}, "aws")
	srv.Inject(s3fault.Fault{Op: "head", Runs: -1, Kind: s3fault.Answer, Status: 403, Code: "AccessDenied"})
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrDenied) {
		t.Errorf("Stat of a denied key: %v", err)
	}
}

// A store without DeleteObjects is asked for it once, and its keys go one by one.
func TestStoreWithoutDeleteObjects(t *testing.T) {
	t.Parallel()
	for _, fault := range []s3fault.Fault{
		{Op: "delete-many", Runs: -1, Status: 501, Code: "NotImplemented"},
		{Op: "delete-many", Runs: -1, Status: 405, NoBody: true},
	} {
		srv, b := server(t, s3fault.Options{}, "generic")
		srv.Inject(fault)
		for range 2 {
			for _, key := range []string{"a", "b"} {
				if _, err := store(t.Context(), b, key, "x", objstore.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			perKey, err := b.DeleteMany(t.Context(), []string{"a", "b", "never there"})
			if err := errors.Join(append(perKey, err)...); err != nil || len(perKey) != 3 {
				t.Fatalf("%d answers, %v", len(perKey), err)
			}
			if left, err := keysOf(t.Context(), b, objstore.ListOptions{}); len(left) != 0 || err != nil {
				t.Errorf("left %q, %v", left, err)
			}
		}
		if n := srv.Count("delete-many"); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}

// An answer that tells no length tells of no empty object.
func TestStatWithoutLength(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Transfer-Encoding", "chunked")
		w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
	}))
	t.Cleanup(srv.Close)
	b := open(t, s3.Config{Endpoint: srv.URL, Bucket: "bucket", Anonymous: true})
	if info, err := b.Stat(t.Context(), "k"); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("%d bytes, %v", info.Size, err)
	}
}
