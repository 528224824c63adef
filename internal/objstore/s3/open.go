package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// skipLimit is how many bytes are read past when a store answers a range with
// the whole object.
const skipLimit = 8 * mib

// Stat implements objstore.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if err := b.traits.Load().findKey("stat", key); err != nil {
		return objstore.Info{}, err
	}
	r := newRequest("stat", http.MethodHead, key)
	b.wantChecksum(r)
	resp, err := b.send(ctx, r)
	if err != nil {
		return objstore.Info{}, b.inWords(ctx, err)
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 {
		return objstore.Info{}, &objstore.Error{
			Kind: objstore.ErrUnavailable, Op: r.op, Key: key, Status: resp.StatusCode, Message: "answer without a length",
		}
	}
	in := info(key, resp.Header)
	in.Size = resp.ContentLength
	return in, nil
}

// inWords finds out what a refusal without words means. The answer to a HEAD has no body, so
// that expired credentials look like a bad request and a wrong clock like a denial; a GET
// of the bucket is refused for the same reason, and says which.
func (b *Bucket) inWords(ctx context.Context, err error) error {
	e, ok := errors.AsType[*objstore.Error](err)
	if !ok || e.Code != "" || e.Status != http.StatusBadRequest && e.Status != http.StatusForbidden {
		return err
	}
	said, ok := errors.AsType[*objstore.Error](b.Probe(ctx))
	if !ok || !errors.Is(said, objstore.ErrCredentials) && !errors.Is(said, objstore.ErrClockSkew) {
		return err
	}
	said.Op, said.Key = e.Op, e.Key
	return said
}

// wantChecksum asks for the object's checksum where stores keep them.
func (b *Bucket) wantChecksum(r *request) {
	if t := b.traits.Load(); t.ChecksumPut || t.ChecksumComplete {
		r.set("x-amz-checksum-mode", "ENABLED")
	}
}

// Open implements objstore.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	if err := b.traits.Load().findKey("open", key); err != nil {
		return nil, err
	}
	r := newRequest("open", http.MethodGet, key)
	if err := b.askRange(r, &opt); err != nil {
		return nil, err
	}
	if opt.IfMatch != "" {
		r.set("If-Match", quote(opt.IfMatch))
	}
	b.wantChecksum(r)
	resp, err := b.send(ctx, r)
	if err != nil {
		return nil, err
	}
	o := &opened{}
	o.Info = info(key, resp.Header)
	o.Body, o.body.src, o.body.key = &o.body, resp.Body, key
	if err := b.judge(o, resp, &opt); err != nil {
		resp.Body.Close()
		return nil, err
	}
	o.body.left = o.Length
	return &o.Content, nil
}

// opened is a Content and its body in one piece of memory.
type opened struct {
	objstore.Content
	body body
}

// askRange adds the fields for the bytes wanted.
func (b *Bucket) askRange(r *request, opt *objstore.OpenOptions) error {
	switch {
	case opt.Offset < 0 || opt.Length < 0 || opt.Part < 0, opt.Part > 0 && (opt.Offset != 0 || opt.Length != 0):
		return &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: r.key, Message: "impossible range"}
	case opt.Part > 0 && !b.traits.Load().PartLayout:
		return &objstore.Error{Kind: objstore.ErrUnsupported, Op: r.op, Key: r.key, Message: "parts cannot be read"}
	case opt.Part > 0:
		r.query = "partNumber=" + strconv.Itoa(opt.Part)
	case opt.Length > 0:
		p := make([]byte, 0, 48)
		p = strconv.AppendInt(append(p, "bytes="...), opt.Offset, 10)
		p = strconv.AppendInt(append(p, '-'), opt.Offset+opt.Length-1, 10)
		r.set("Range", string(p))
	case opt.Offset > 0:
		r.set("Range", "bytes="+strconv.FormatInt(opt.Offset, 10)+"-")
	}
	return nil
}

// judge checks that the answer is what was asked for and sets Size and Length.
//
//	asked    answer            becomes
//	all      200               the whole object
//	range    206, that range   the range
//	range    206, another      ErrUnavailable
//	range    200               the range, cut out of the whole object
//	part     206               the part
//	part     200 with a count  the part, which is the whole object
//	part     200               ErrUnsupported: the store does not know parts
func (b *Bucket) judge(o *opened, resp *http.Response, opt *objstore.OpenOptions) error {
	wrong := func(kind error, message string) error {
		return &objstore.Error{Kind: kind, Op: "open", Key: o.Key, Status: resp.StatusCode, Message: message}
	}
	length := resp.ContentLength
	ranged := opt.Offset > 0 || opt.Length > 0
	if opt.IfMatch != "" && o.ETag != "" && o.ETag != opt.IfMatch {
		return wrong(objstore.ErrPrecondition, "store ignored If-Match, and the object is another")
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		start, end, size, ok := contentRange(first(resp.Header, "Content-Range"))
		if !ok || length >= 0 && length != end-start+1 || ranged && (start != opt.Offset || opt.Length > 0 && end-start+1 > opt.Length) ||
			!ranged && opt.Part == 0 || ranged && end+1 < size && (opt.Length == 0 || end-start+1 < opt.Length) {
			return wrong(objstore.ErrUnavailable, "answer has another range than asked for")
		}
		o.Size, o.Length = size, end-start+1
		o.CRC64 = objstore.Checksum{} // it may be the range's or the part's
	case length < 0:
		return wrong(objstore.ErrUnavailable, "answer without a length")
	case opt.Part > 0 && first(resp.Header, "X-Amz-Mp-Parts-Count") == "":
		b.unlearn("open", "reading parts", func(t *traits) { t.PartLayout = false })
		return wrong(objstore.ErrUnsupported, "store does not know parts")
	default:
		o.Size, o.Length = length, length
		if ranged {
			return o.cut(opt, wrong)
		}
	}
	return nil
}

// cut makes a range of a whole object.
func (o *opened) cut(opt *objstore.OpenOptions, wrong func(error, string) error) error {
	switch {
	case opt.Offset > o.Size || opt.Offset == o.Size && o.Size > 0:
		return wrong(objstore.ErrInvalid, "range begins behind the end")
	case opt.Offset > skipLimit:
		return wrong(objstore.ErrUnsupported, "store ignored the range")
	}
	o.Length = o.Size - opt.Offset
	if opt.Length > 0 {
		o.Length = min(o.Length, opt.Length)
	}
	o.body.left = opt.Offset
	_, err := io.Copy(io.Discard, &o.body)
	return err
}

// contentRange reads "bytes 0-99/1234".
func contentRange(v string) (start, end, size int64, ok bool) {
	v, ok1 := strings.CutPrefix(v, "bytes ")
	span, total, ok2 := strings.Cut(v, "/")
	from, to, ok3 := strings.Cut(span, "-")
	start, err1 := strconv.ParseInt(from, 10, 64)
	end, err2 := strconv.ParseInt(to, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	return start, end, size, ok1 && ok2 && ok3 && errors.Join(err1, err2, err3) == nil && start >= 0 && start <= end && end < size
}

// body delivers exactly left bytes of an answer's body.
type body struct {
	src  io.ReadCloser
	key  string
	left int64
	done bool // src came to its own end
}

func (d *body) Read(p []byte) (int, error) {
	if d.left <= 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > d.left {
		p = p[:d.left]
	}
	n, err := d.src.Read(p)
	d.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		d.done = true
		if d.left == 0 {
			return n, io.EOF
		}
		err = io.ErrUnexpectedEOF
	}
	return n, &objstore.Error{Kind: objstore.ErrUnavailable, Op: "read", Key: d.key, Err: err}
}

// Close gives the connection back when the body was read, or nearly.
func (d *body) Close() error {
	if !d.done && d.left <= drainLimit {
		drain(d.src)
	}
	return d.src.Close()
}
