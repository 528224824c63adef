package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// request is one request about a bucket or a key of it, before it is addressed
// and signed. It may be sent more than once.
type request struct {
	op     string // names the request in errors: list, stat, …
	method string
	key    string // "" is the bucket
	query  string // escaped and sorted by name
	fields []field
	room   [12]field // where fields usually live

	// The body: none, a parcel, data, or a stream.
	parcel  *parcel
	data    []byte
	stream  io.Reader
	size    int64
	start   int64  // of a stream that can seek
	payload string // x-amz-content-sha256; "" is UNSIGNED-PAYLOAD or the empty hash

	slow     bool    // the answer may take as long as the store takes to move an object
	once     bool    // repeating it by itself could do harm
	encrypts bool    // it asks for encryption
	uses     feature // what of the store it relies on
	dropped  feature // what of that was left out because the store refused it
	lasting  feature // what of that no other request need try
	learned  lesson  // what the store's refusals have taught already
	streamed *upload // the stream's last way out
	framed   *framed // around the stream
}

func newRequest(op, method, key string) *request {
	r := &request{op: op, method: method, key: key}
	r.fields = r.room[:0]
	return r
}

func (r *request) set(name, value string) {
	r.fields = append(r.fields, field{name, value})
}

// setFor sets a field that only a store with f understands.
func (r *request) setFor(f feature, name, value string) {
	r.uses |= f
	r.set(name, value)
}

// setBody gives the request exactly size bytes of body.
func (r *request) setBody(body io.Reader, size int64) error {
	r.size = size
	switch {
	case size == 0:
		return nil
	case size < 0:
		return errors.New("negative size")
	case size <= wholeBody:
		r.parcel = parcels.Get().(*parcel)
		return r.parcel.fill(body, size)
	}
	if data, ok := inMemory(body); ok {
		if int64(len(data)) < size {
			return io.ErrUnexpectedEOF
		}
		r.data = data[:size]
		return nil
	}
	r.stream, r.start = body, -1
	if s, ok := body.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			r.start = at
		}
	}
	return nil
}

// setDocument gives the request a document, which is always signed.
func (r *request) setDocument(doc []byte) {
	_ = r.setBody(bytes.NewReader(doc), int64(len(doc))) // reading memory cannot fail
	sum := sha256.Sum256(doc)
	r.payload = hex.EncodeToString(sum[:])
}

// signBody makes the signature cover the body. A stream that cannot be rewound is
// held in memory for it.
func (r *request) signBody() error {
	if r.stream != nil && r.start < 0 {
		data := make([]byte, r.size)
		if _, err := io.ReadFull(r.stream, data); err != nil {
			return shortBody(err)
		}
		r.stream, r.data = nil, data
	}
	h := sha256.New()
	switch {
	case r.parcel != nil:
		h.Write(r.parcel.data)
	case r.data != nil:
		h.Write(r.data)
	case r.stream != nil:
		if _, err := io.CopyN(h, r.stream, r.size); err != nil {
			return shortBody(err)
		}
		if !r.rewind() {
			return errors.New("body cannot be read twice")
		}
	}
	r.payload = hex.EncodeToString(h.Sum(nil))
	return nil
}

// rewind makes the body ready to be sent again and reports whether it could.
func (r *request) rewind() bool {
	if r.stream == nil {
		return true
	}
	if r.start < 0 {
		return r.streamed == nil
	}
	_, err := r.stream.(io.Seeker).Seek(r.start, io.SeekStart)
	if r.framed != nil {
		r.framed.reset()
	}
	return err == nil
}

// call is what one sending of a request needs in memory, in one piece.
type call struct {
	url    url.URL
	values [16]string
}

var (
	userAgent = []string{"lockstep"}
	scratches = sync.Pool{New: func() any { p := new([2 * kib]byte); return p }}
)

// attempt sends the request once, as place and keys say.
func (b *Bucket) attempt(ctx context.Context, r *request, p *place, k *keys) (*http.Response, error) {
	scratch := scratches.Get().(*[2 * kib]byte)
	defer scratches.Put(scratch)
	buf := scratch[:0]
	if r.key == "" {
		buf = append(buf, p.root...)
	} else {
		buf = appendPath(append(buf, p.base...), r.key)
	}
	cut := len(buf)
	if r.query != "" {
		buf = append(append(buf, '?'), r.query...)
	}
	target := string(buf)

	var room [20]field
	fields := append(room[:0], r.fields...)
	auth := ""
	if k.access != "" {
		m := p.at(b.svc.now(), k)
		payload := r.payload
		switch {
		case payload != "":
		case r.size == 0:
			payload = emptyPayload
		default:
			payload = unsignedPayload
		}
		fields = append(fields, field{"host", p.host},
			field{"x-amz-content-sha256", payload}, field{"x-amz-date", m.stamp})
		if k.token != "" {
			fields = append(fields, field{"x-amz-security-token", k.token})
		}
		sortFields(fields)
		auth = string(m.authorization(buf[:0], r.method, target, cut, fields, payload))
	}
	return b.svc.roundTrip(ctx, r, p, target, cut, fields, auth)
}

// roundTrip hands the request to net/http, and comes back when the body is the
// caller's again.
func (s *Service) roundTrip(ctx context.Context, r *request, p *place, target string, cut int, fields []field, auth string) (*http.Response, error) {
	c := new(call)
	c.url.Scheme, c.url.Host = p.scheme, p.host
	if s.proxied || len(target) > 1 && target[1] == '/' {
		// The proxy's request line needs the whole URL, and a path that begins with
		// two slashes must not be taken for a host.
		path := target[:cut]
		c.url.RawPath = path
		c.url.Path, _ = url.PathUnescape(path)
		if cut < len(target) {
			c.url.RawQuery = target[cut+1:]
		}
	} else {
		c.url.Opaque = target // goes out as it is
	}
	req := s.template.WithContext(ctx)
	req.Method, req.URL, req.Host = r.method, &c.url, p.host
	size := 0
	req.Header, size = c.header(fields, auth, r)

	var inUse *sync.WaitGroup
	switch {
	case r.parcel != nil:
		req.ContentLength, req.GetBody = r.size, r.parcel.getBody
		req.Body = r.parcel.open()
		if size+len(target) > writeBuffer-wholeBody-kib {
			r.parcel.keep() // head and body may not leave in one write
		}
	case r.data != nil:
		inUse = new(sync.WaitGroup)
		whole := &upload{inUse: inUse, data: r.data}
		req.ContentLength, req.Body = r.size, whole.again()
		req.GetBody = func() (io.ReadCloser, error) { return whole.again(), nil }
	case r.stream != nil:
		inUse = new(sync.WaitGroup)
		inUse.Add(1)
		r.streamed = &upload{inUse: inUse, reader: r.stream, left: r.size}
		if r.framed != nil {
			r.streamed.reader = r.framed
		}
		req.ContentLength, req.Body = r.size, r.streamed
	}
	transport := s.quick
	if r.slow {
		transport = s.slow
	}
	resp, err := transport.RoundTrip(req)
	if inUse != nil {
		if err == nil && resp.StatusCode/100 != 2 {
			// net/http stops sending once the answer is closed.
			holdRefusal(resp)
		}
		inUse.Wait()
	}
	return resp, err
}

// header makes the header map and returns about how many bytes it comes to. Its
// values share the call's memory.
func (c *call) header(fields []field, auth string, r *request) (h http.Header, size int) {
	h = make(http.Header, len(fields)+3)
	values := c.values[:0:len(c.values)]
	if len(fields)+1 > len(c.values) {
		values = make([]string, 0, len(fields)+1)
	}
	put := func(name, value string) {
		size += len(name) + len(value) + len(": \r\n")
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	for i := range fields {
		if fields[i].name != "host" {
			put(fields[i].name, fields[i].value)
		}
	}
	if auth != "" {
		put("Authorization", auth)
	}
	h["User-Agent"] = userAgent
	if !r.once && r.method != http.MethodGet && r.method != http.MethodHead {
		// An entry without a value is not sent: it lets net/http repeat the request on
		// another connection when a kept one died before a byte was answered.
		h["Idempotency-Key"] = nil
	}
	return h, size
}

// send sends the request until the store has answered it, repeating it only when
// the answer says how to ask right. The caller closes the answer's body. Errors
// are *objstore.Error.
func (b *Bucket) send(ctx context.Context, r *request) (*http.Response, error) {
	if b.signPayload && r.payload == "" && r.size > 0 {
		if err := r.signBody(); err != nil {
			return nil, r.bodyError(err)
		}
	}
	for {
		p := b.place.Load()
		k, err := b.svc.keys.get(ctx)
		if err != nil {
			return nil, r.failed(err)
		}
		resp, err := b.attempt(ctx, r, p, k)
		if err != nil {
			if r.streamed != nil && r.streamed.err != nil {
				err = r.bodyError(r.streamed.err)
			} else {
				err = r.failed(err)
			}
			return nil, err
		}
		if resp.StatusCode/100 == 2 {
			b.keep(r)
			return resp, nil
		}
		refusal := readRefusal(resp)
		again, err := b.learn(ctx, r, &refusal, p, k)
		if err != nil || !again {
			return nil, cmp.Or(err, b.refused(r, &refusal))
		}
	}
}

// do sends a request whose answer has no body worth reading, and returns its head.
func (b *Bucket) do(ctx context.Context, r *request) (http.Header, error) {
	resp, err := b.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	drain(resp.Body)
	r.release()
	return resp.Header, nil
}

// release gives the parcel back. Only after a single sending that was answered
// well: else net/http may still hold it.
func (r *request) release() {
	if p := r.parcel; p != nil && p.opened.Load() == 1 {
		r.parcel, p.data = nil, nil
		p.reader.Reset(nil)
		p.opened.Store(0)
		parcels.Put(p)
	}
}

// drainLimit is how much is read of an unwanted answer to keep its connection.
const drainLimit = 64 * kib

// drain reads what is left of an answer before it is closed, if that is little, so
// that the connection can serve again.
func drain(body io.ReadCloser) {
	if body == http.NoBody {
		return
	}
	buf := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	for left := drainLimit; left > 0; {
		n, err := body.Read(buf[:left])
		left -= n
		if err != nil {
			return
		}
	}
}

func (r *request) bodyError(err error) error {
	return &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: r.key, Message: "body incomplete", Err: err}
}
