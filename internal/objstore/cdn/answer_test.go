package cdn_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
)

// handler answers in place of the origin.
type handler func(w http.ResponseWriter, r *http.Request)

// head answers 200 with a body and header fields in pairs.
func head(body string, fields ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		_, _ = io.WriteString(w, body)
	}
}

// status answers with an error.
func status(code int, fields ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(code)
	}
}

// partial answers 206 with a Content-Range.
func partial(contentRange, body string, fields ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", contentRange)
		for i := 0; i+1 < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, body)
	}
}

// raw answers with these bytes and ends the connection.
func raw(text string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// What a domain may answer, and what becomes of it. The object is "0123456789", its ETag
// an MD5, its time noon.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const data = "0123456789"
	noon := time.Date(2026, 3, 1, 12, 0, 0, 400, time.UTC)
	b := mem.New("source", mem.WithClock(func() time.Time { return noon }))
	info := put(t, b, "k", data)
	same := `"` + info.ETag + `"`
	at := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	all, part := objstore.OpenOptions{}, objstore.OpenOptions{Offset: 2, Length: 3}
	other := `"00000000000000000000000000000000"`
	chunked := func(body string, end string) handler {
		return raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(body), body) + end)
	}
	for name, c := range map[string]struct {
		opt    objstore.OpenOptions
		answer handler
		want   string
		err    error
	}{
		"same":                       {all, head(data, "ETag", same), data, nil},
		"same in capitals":           {all, head(data, "ETag", strings.ToUpper(same)), data, nil},
		"same without quotes":        {all, head(data, "ETag", info.ETag), data, nil},
		"same though older":          {all, head(data, "ETag", same, "Last-Modified", at(-time.Hour)), data, nil},
		"nothing said":               {all, head(data), data, nil},
		"ETag of its own":            {all, head(data, "ETag", `"5f3e-61a0"`), data, nil},
		"ETag of its own, same time": {all, head(data, "ETag", `"5f3e-61a0"`, "Last-Modified", at(0)), data, nil},
		"ETag of its own, later":     {all, head(data, "ETag", `"5f3e-61a0"`, "Last-Modified", at(time.Hour)), data, nil},
		"ETag of its own, older":     {all, head(data, "ETag", `"5f3e-61a0"`, "Last-Modified", at(-time.Second)), "", objstore.ErrPrecondition},
		"weak and same":              {all, head(data, "ETag", "W/"+same), data, nil},
		"weak and same, but older":   {all, head(data, "ETag", "W/"+same, "Last-Modified", at(-time.Hour)), "", objstore.ErrPrecondition},
		"another ETag":               {all, head(data, "ETag", other), "", objstore.ErrPrecondition},
		"another weak ETag":          {all, head(data, "ETag", "W/"+other), "", objstore.ErrPrecondition},
		"another ETag, of parts":     {all, head(data, "ETag", `"00000000000000000000000000000000-3"`), "", objstore.ErrPrecondition},
		"older":                      {all, head(data, "Last-Modified", at(-time.Second)), "", objstore.ErrPrecondition},
		"time that is none":          {all, head(data, "Last-Modified", "yesterday"), data, nil},
		"shorter":                    {all, head("012345678", "ETag", same), "", objstore.ErrPrecondition},
		"longer":                     {all, head("01234567890", "ETag", same), "", objstore.ErrPrecondition},
		"empty":                      {all, head(""), "", objstore.ErrPrecondition},
		"range of nothing asked":     {all, partial("bytes 0-9/10", data), "", objstore.ErrUnavailable},

		"no length":              {all, chunked(data, "0\r\n\r\n"), data, nil},
		"no length, shorter":     {all, chunked("012345678", "0\r\n\r\n"), "", objstore.ErrUnavailable},
		"no length, longer":      {all, chunked(data+"0", "0\r\n\r\n"), "", objstore.ErrPrecondition},
		"no length, no end":      {all, chunked(data, ""), "", objstore.ErrUnavailable},
		"HTTP/1.0":               {all, raw("HTTP/1.0 200 OK\r\n\r\n" + data), data, nil},
		"HTTP/1.0, shorter":      {all, raw("HTTP/1.0 200 OK\r\n\r\n012"), "", objstore.ErrUnavailable},
		"torn":                   {all, raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"), "", objstore.ErrUnavailable},
		"no answer":              {all, raw(""), "", objstore.ErrUnavailable},
		"no HTTP":                {all, raw("SSH-2.0-secret\r\n"), "", objstore.ErrUnavailable},
		"no header":              {all, raw("HTTP/1.1 200 OK\r\nsecret\r\n\r\n"), "", objstore.ErrUnavailable},
		"no trailer":             {all, chunked(data, "0\r\nsecret\r\n\r\n"), "", objstore.ErrUnavailable},
		"no chunk":               {all, chunked("01234", "secret\r\n"), "", objstore.ErrUnavailable},
		"no status":              {all, raw("HTTP/1.1 secret OK\r\n\r\n"), "", objstore.ErrUnavailable},
		"compressed":             {all, head("gzipped...", "Content-Encoding", "gzip"), "", objstore.ErrInvalid},
		"identity":               {all, head(data, "Content-Encoding", "identity"), data, nil},
		"range":                  {part, partial("bytes 2-4/10", "234", "ETag", same), "234", nil},
		"range of unknown total": {part, partial("bytes 2-4/*", "234", "ETag", same), "234", nil},
		"range, another ETag":    {part, partial("bytes 2-4/10", "234", "ETag", other), "", objstore.ErrPrecondition},
		"range, older":           {part, partial("bytes 2-4/10", "234", "Last-Modified", at(-time.Hour)), "", objstore.ErrPrecondition},
		"range of another size":  {part, partial("bytes 2-4/11", "234"), "", objstore.ErrPrecondition},
		"another range":          {part, partial("bytes 3-5/10", "345"), "", objstore.ErrUnavailable},
		"shorter range":          {part, partial("bytes 2-3/10", "23"), "", objstore.ErrUnavailable},
		"longer range":           {part, partial("bytes 2-5/10", "2345"), "", objstore.ErrUnavailable},
		"range that is none":     {part, partial("bytes", "234"), "", objstore.ErrUnavailable},
		"several ranges":         {part, partial("", "--x\r\n", "Content-Type", "multipart/byteranges; boundary=x"), "", objstore.ErrUnavailable},
		"range ignored":          {part, head(data, "ETag", same), "234", nil},
		"range ignored, shorter": {part, head("012", "ETag", same), "", objstore.ErrPrecondition},
		"range ignored, torn":    {part, raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"), "", objstore.ErrUnavailable},
		"last range, no length":  {objstore.OpenOptions{Offset: 8}, chunked(data, "0\r\n\r\n"), "89", nil},
		"last range, longer":     {objstore.OpenOptions{Offset: 8}, chunked(data+"0", "0\r\n\r\n"), "", objstore.ErrPrecondition},

		"gone there":     {all, status(404), "", objstore.ErrUnavailable},
		"410":            {all, status(410), "", objstore.ErrUnavailable},
		"denied":         {all, status(403), "", objstore.ErrDenied},
		"401":            {all, status(401), "", objstore.ErrCredentials},
		"400":            {all, status(400), "", objstore.ErrInvalid},
		"405":            {all, status(405), "", objstore.ErrUnsupported},
		"412":            {all, status(412), "", objstore.ErrPrecondition},
		"416":            {part, status(416), "", objstore.ErrPrecondition},
		"429":            {all, status(429), "", objstore.ErrThrottled},
		"500":            {all, status(500), "", objstore.ErrUnavailable},
		"503":            {all, status(503), "", objstore.ErrUnavailable},
		"503, slow down": {all, status(503, "Retry-After", "7"), "", objstore.ErrThrottled},
		"204":            {all, status(204), "", objstore.ErrInvalid},
		"redirect":       {all, status(302, "Location", "http://169.254.169.254/k?secret=1"), "", objstore.ErrInvalid},
		"to itself":      {all, status(301, "Location", "/other"), "", objstore.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t, b)
			o.answer(func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
				c.answer(w, r)
				return true
			})
			through := o.client(t).Wrap(b, cdn.Options{})
			c.opt.IfMatch = info.ETag
			got, err := read(t, through, "k", c.opt)
			if !errors.Is(err, c.err) || err == nil && got != c.want {
				t.Fatalf("%q, %v; want %q, %v", got, err, c.want, c.err)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), o.URL) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v: names the domain, and no more", err)
			}
			if errors.Is(err, objstore.ErrNotFound) {
				t.Errorf("%v: the object is at the source", err)
			}
			if d := objstore.RetryAfter(err); (d == 7*time.Second) != (name == "503, slow down") {
				t.Errorf("waits %v", d)
			}
			if n := len(o.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A stalled answer is given up, and so is one that nobody waits for any more.
func TestStalledDomain(t *testing.T) {
	t.Parallel()
	b, o, _ := pair(t)
	put(t, b, "k", "0123456789")
	done := make(chan struct{})
	defer close(done)
	o.answer(func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "01234")
		w.(http.Flusher).Flush()
		<-done
		return true
	})
	impatient := o.client(t, func(c *cdn.Config) { c.Transport = cdn.NewTransport(100 * time.Millisecond) })
	if _, err := read(t, impatient.Wrap(b, cdn.Options{}), "k", objstore.OpenOptions{}); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("a stalled body: %v", err)
	}
	o.answer(func(http.ResponseWriter, *http.Request, func(http.ResponseWriter, *http.Request)) bool {
		<-done
		return true
	})
	if _, err := read(t, impatient.Wrap(b, cdn.Options{}), "k", objstore.OpenOptions{}); !errors.Is(err, objstore.ErrUnavailable) {
		t.Errorf("no answer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	patient := o.client(t, func(c *cdn.Config) { c.Transport = cdn.NewTransport(time.Hour) })
	if _, err := patient.Wrap(b, cdn.Options{}).Open(ctx, "k", objstore.OpenOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Parts of one state of an object come in one state of the domain's, also where ETags
// say nothing of the bytes; after a difference the next read decides anew.
func TestPartsAreOfOneState(t *testing.T) {
	t.Parallel()
	b, o, through := pair(t)
	info := put(t, b, "k", "0123456789")
	etag := "own-1"
	o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
		serve(&relabelled{w, etag}, r)
		return true
	})
	pinned := func(offset int64) error {
		_, err := read(t, through, "k", objstore.OpenOptions{IfMatch: info.ETag, Offset: offset, Length: 2})
		return err
	}
	for _, offset := range []int64{0, 2, 4} {
		if err := pinned(offset); err != nil {
			t.Fatal(err)
		}
	}
	etag = "own-2"
	if err := pinned(6); !errors.Is(err, objstore.ErrPrecondition) {
		t.Fatalf("a part of another state: %v", err)
	}
	for _, offset := range []int64{0, 2} {
		if err := pinned(offset); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(t, through, "k", objstore.OpenOptions{}); err != nil { // a whole object is one answer
		t.Fatal(err)
	}
}

// relabelled serves under another ETag.
type relabelled struct {
	http.ResponseWriter
	etag string
}

func (r *relabelled) WriteHeader(code int) {
	r.Header().Set("ETag", `"`+r.etag+`"`)
	r.ResponseWriter.WriteHeader(code)
}

// A domain that knows no ranges serves small objects, and is refused for large ones.
func TestDomainWithoutRanges(t *testing.T) {
	t.Parallel()
	b, o, through := pair(t)
	big := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB
	put(t, b, "big", big)
	o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
		r.Header.Del("Range")
		serve(w, r)
		return true
	})
	if got, err := read(t, through, "big", objstore.OpenOptions{Offset: 8 << 20, Length: 3}); err != nil || got != "012" {
		t.Errorf("near the start: %q, %v", got, err)
	}
	if _, err := read(t, through, "big", objstore.OpenOptions{Offset: 8<<20 + 1, Length: 3}); !errors.Is(err, objstore.ErrUnsupported) || objstore.Transient(err) {
		t.Errorf("far from the start: %v", err)
	}
}

// The object's own encoding is no compression of the domain's.
func TestObjectWithAnEncoding(t *testing.T) {
	t.Parallel()
	b, o, through := pair(t)
	var packed strings.Builder
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("hello"))
	_ = z.Close()
	opt := objstore.PutOptions{Header: objstore.Header{ContentEncoding: "gzip"}, Meta: map[string]string{"a": "b"}}
	if _, err := b.Put(t.Context(), "k", strings.NewReader(packed.String()), int64(packed.Len()), opt); err != nil {
		t.Fatal(err)
	}
	o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
		if r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("X-Amz-Meta-A", "of the domain")
		serve(w, r)
		return true
	})
	c, err := through.Open(t.Context(), "k", objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Body.Close()
	got, err := io.ReadAll(bufio.NewReader(c.Body))
	if err != nil || string(got) != packed.String() || c.Header.ContentEncoding != "gzip" || c.Meta["a"] != "b" {
		t.Errorf("%q %v %+v", got, err, c.Info)
	}
}

// The bucket says what is not bytes: what is gone there is not asked for at the domain.
func TestGoneAtTheBucket(t *testing.T) {
	t.Parallel()
	_, o, through := pair(t)
	if _, err := through.Open(t.Context(), "k", objstore.OpenOptions{}); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if n := len(o.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	if id := through.Identity(); !strings.HasPrefix(id.Service, "cdn:"+o.URL) || through.Capabilities().PartLayout {
		t.Errorf("%+v, %+v", id, through.Capabilities())
	}
}

// What a store denies to its CDN because it is archived is archived, and no denial.
func TestArchivedObject(t *testing.T) {
	t.Parallel()
	b, o, _ := pair(t)
	o.answer(func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	for class, want := range map[string]error{
		"": objstore.ErrDenied, "STANDARD_IA": objstore.ErrDenied, "GLACIER_IR": objstore.ErrDenied,
		"GLACIER": objstore.ErrArchived, "DEEP_ARCHIVE": objstore.ErrArchived, "ColdArchive": objstore.ErrArchived,
	} {
		described := &classified{Bucket: b, class: class}
		put(t, b, "k", "1")
		_, err := read(t, o.client(t).Wrap(described, cdn.Options{}), "k", objstore.OpenOptions{})
		if !errors.Is(err, want) {
			t.Errorf("%q: %v", class, err)
		}
	}
}

// classified says that all objects are of one storage class.
type classified struct {
	objstore.Bucket
	class string
}

func (c *classified) Stat(ctx context.Context, key string) (objstore.Info, error) {
	info, err := c.Bucket.Stat(ctx, key)
	info.Class = c.class
	return info, err
}

func TestLook(t *testing.T) {
	t.Parallel()
	b, o, _ := pair(t)
	c := o.client(t)
	for key, data := range map[string]string{"k": "0123456789", "empty": ""} {
		info := put(t, b, key, data)
		got, err := c.Look(t.Context(), key)
		if err != nil || got.Size != info.Size || got.ETag != info.ETag || !got.ModTime.Equal(info.ModTime.Truncate(time.Second)) {
			t.Errorf("%s: %+v, %v; want %+v", key, got, err, info)
		}
	}
	if _, err := c.Look(t.Context(), "nothing"); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("%v", err)
	}
	for name, answer := range map[string]handler{
		"torn": raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), "range": partial("bytes x", "0"), "no answer": raw(""),
	} {
		o.answer(func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter, *http.Request)) bool {
			answer(w, r)
			return true
		})
		if _, err := c.Look(t.Context(), "k"); !errors.Is(err, objstore.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
