package s3fault

import (
	"crypto/md5" // ETags and Content-MD5 are MD5s
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// bucket is the server's memory of a bucket.
type bucket struct {
	objects map[string]*object
	sorted  []string // keys in order; nil when they changed
}

func newBucket() *bucket { return &bucket{objects: make(map[string]*object)} }

func (b *bucket) set(key string, o *object) {
	if b.objects[key] == nil {
		b.sorted = nil
	}
	b.objects[key] = o
}

type object struct {
	data   []byte
	etag   string
	crc    uint64
	header http.Header // content headers and metadata, as stored
	tags   url.Values
	class  string
	parts  []int // sizes
	mtime  time.Time

	encryption string // as it was asked for
	asked      bool   // it is being restored, or was
	thaws      time.Time
}

var noSuchKey = &refusal{status: http.StatusNotFound, code: "NoSuchKey", message: "The specified key does not exist."}

// Put stores an object behind the API's back.
func (s *Server) Put(bucket, key string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket].set(key, &object{
		data: data, etag: md5Hex(data), crc: objstore.UpdateCRC64(0, data), header: http.Header{}, mtime: s.now().UTC(),
	})
}

// Get returns the bytes of an object, and whether there is one.
func (s *Server) Get(bucket, key string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil || b.objects[key] == nil {
		return nil, false
	}
	return slices.Clone(b.objects[key].data), true
}

func md5Hex(p []byte) string {
	sum := md5.Sum(p)
	return hex.EncodeToString(sum[:])
}

// stored are the headers that belong to an object.
func (s *Server) stored(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		switch {
		case strings.HasPrefix(name, "X-Amz-Meta-"):
			if s.opt.EncodedMeta {
				var d mime.WordDecoder
				if v, err := d.DecodeHeader(values[0]); err == nil {
					values = []string{v}
				}
			}
			kept[name] = values
		case slices.Contains([]string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}, name):
			kept[name] = values
		}
	}
	return kept
}

func (s *Server) answerHeader(w http.ResponseWriter, a *ask, o *object) {
	h := w.Header()
	h.Set("Content-Type", "binary/octet-stream")
	for name, values := range o.header {
		if s.opt.EncodedMeta && strings.HasPrefix(name, "X-Amz-Meta-") {
			values = []string{mime.QEncoding.Encode("UTF-8", values[0])}
		}
		h[name] = values
	}
	h.Set("Etag", `"`+o.etag+`"`)
	h.Set("Last-Modified", o.mtime.Format(http.TimeFormat))
	if o.class != "" {
		h.Set("X-Amz-Storage-Class", o.class)
	}
	s.answerArchived(h, o)
	if o.encryption != "" {
		h.Set(encryption, o.encryption)
	}
	if len(o.tags) > 0 {
		h.Set("X-Amz-Tagging-Count", strconv.Itoa(len(o.tags)))
	}
	if s.opt.RefuseChecksums == 0 && a.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		h.Set("X-Amz-Checksum-Crc64nvme", crcText(o.crc))
		h.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

func crcText(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

func (s *Server) get(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	o := b.objects[a.key]
	if o == nil {
		return noSuchKey
	}
	if m := a.Header.Get("If-Match"); m != "" && !s.opt.NoIfMatch && strings.Trim(m, `"`) != o.etag {
		return &refusal{status: http.StatusPreconditionFailed, code: "PreconditionFailed"}
	}
	if a.op == "get" && s.archived(o) {
		return &refusal{http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class", false}
	}
	from, to, status := 0, len(o.data), http.StatusOK
	switch {
	case a.query.Has("partNumber") && !s.opt.NoPartNumber:
		n, _ := strconv.Atoi(a.query.Get("partNumber"))
		sizes := o.parts
		if len(sizes) == 0 {
			sizes = []int{len(o.data)}
		} else {
			w.Header().Set("X-Amz-Mp-Parts-Count", strconv.Itoa(len(sizes)))
		}
		if n < 1 || n > len(sizes) {
			return &refusal{status: http.StatusRequestedRangeNotSatisfiable, code: "InvalidPartNumber"}
		}
		for _, size := range sizes[:n-1] {
			from += size
		}
		to, status = from+sizes[n-1], http.StatusPartialContent
	case a.Header.Get("Range") != "" && !s.opt.NoRange:
		var ok bool
		if from, to, ok = parseRange(a.Header.Get("Range"), len(o.data)); !ok {
			return &refusal{status: http.StatusRequestedRangeNotSatisfiable, code: "InvalidRange"}
		}
		status = http.StatusPartialContent
	}
	s.answerHeader(w, a, o)
	if status == http.StatusPartialContent && to > from {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(o.data)))
	} else {
		status = http.StatusOK
	}
	w.Header().Set("Content-Length", strconv.Itoa(to-from))
	w.WriteHeader(status)
	if a.op == "get" {
		_, _ = w.Write(o.data[from:to])
	}
	return nil
}

// parseRange reads "bytes=a-b" and "bytes=a-".
func parseRange(v string, size int) (from, to int, ok bool) {
	v, ok1 := strings.CutPrefix(v, "bytes=")
	a, z, ok2 := strings.Cut(v, "-")
	from, err := strconv.Atoi(a)
	to = size
	if z != "" {
		last, err := strconv.Atoi(z)
		if err != nil {
			return 0, 0, false
		}
		to = min(last+1, size)
	}
	return from, to, ok1 && ok2 && err == nil && from < to
}

// judge applies the conditions of a write.
func judge(a *ask, old *object) *refusal {
	failed := &refusal{status: http.StatusPreconditionFailed, code: "PreconditionFailed"}
	if a.Header.Get("If-None-Match") == "*" && old != nil {
		return failed
	}
	if m := a.Header.Get("If-Match"); m != "" {
		if old == nil {
			return noSuchKey
		}
		if m != "*" && strings.Trim(m, `"`) != old.etag {
			return failed
		}
	}
	return nil
}

// verify checks the digests a client sent with bytes.
func verify(a *ask, data []byte) *refusal {
	if v := a.Header.Get("X-Amz-Checksum-Crc64nvme"); v != "" && v != crcText(objstore.UpdateCRC64(0, data)) {
		return &refusal{status: http.StatusBadRequest, code: "BadDigest", message: "The CRC64NVME you specified did not match"}
	}
	if v := a.Header.Get("Content-Md5"); v != "" {
		raw, _ := base64.StdEncoding.DecodeString(v)
		if hex.EncodeToString(raw) != md5Hex(data) {
			return &refusal{status: http.StatusBadRequest, code: "BadDigest"}
		}
	}
	return nil
}

func (s *Server) put(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	if r := verify(a, a.body); r != nil {
		return r
	}
	if r := judge(a, b.objects[a.key]); r != nil {
		return r
	}
	o := &object{data: a.body, etag: md5Hex(a.body), crc: objstore.UpdateCRC64(0, a.body)}
	s.dress(a, o)
	b.set(a.key, o)
	s.answerStored(w, o)
	return nil
}

// dress gives an object what a request says of it beside its bytes.
func (s *Server) dress(a *ask, o *object) {
	o.header, o.class, o.mtime = s.stored(a.Header), a.Header.Get("X-Amz-Storage-Class"), s.now().UTC().Truncate(time.Millisecond)
	o.tags, _ = url.ParseQuery(a.Header.Get("X-Amz-Tagging"))
	s.seal(a, o)
}

func (s *Server) answerStored(w http.ResponseWriter, o *object) {
	w.Header().Set("Etag", `"`+o.etag+`"`)
	s.answerSealed(w, o)
	if s.opt.RefuseChecksums == 0 {
		w.Header().Set("X-Amz-Checksum-Crc64nvme", crcText(o.crc))
		w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

// source returns what x-amz-copy-source names.
func (s *Server) source(a *ask) (*object, *refusal) {
	path, _ := url.PathUnescape(strings.TrimPrefix(a.Header.Get("X-Amz-Copy-Source"), "/"))
	name, key, _ := strings.Cut(path, "/")
	b := s.buckets[name]
	if b == nil {
		return nil, &refusal{status: http.StatusNotFound, code: "NoSuchBucket"}
	}
	o := b.objects[key]
	if o == nil {
		return nil, noSuchKey
	}
	if m := a.Header.Get("X-Amz-Copy-Source-If-Match"); m != "" && strings.Trim(m, `"`) != o.etag {
		return nil, &refusal{status: http.StatusPreconditionFailed, code: "PreconditionFailed"}
	}
	if s.archived(o) {
		code := "ObjectNotInActiveTierError"
		if a.op == "copy-part" {
			code = "InvalidObjectState"
		}
		return nil, &refusal{http.StatusForbidden, code, "The source object of the COPY action is not in the active tier", false}
	}
	return o, nil
}

func (s *Server) copy(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	from, r := s.source(a)
	if r != nil {
		return r
	}
	if r := judge(a, b.objects[a.key]); r != nil {
		return r
	}
	o := &object{data: from.data, etag: md5Hex(from.data), crc: from.crc}
	s.dress(a, o)
	if a.Header.Get("X-Amz-Metadata-Directive") != "REPLACE" {
		o.header = from.header
	}
	if a.Header.Get("X-Amz-Tagging-Directive") != "REPLACE" {
		o.tags = from.tags
	}
	b.set(a.key, o)
	s.answerSealed(w, o)
	var doc struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
		ETag         string
		LastModified string
	}
	doc.ETag, doc.LastModified = `"`+o.etag+`"`, o.mtime.Format(time.RFC3339)
	writeXML(w, &doc)
	return nil
}

func (s *Server) delete(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	if m := a.Header.Get("If-Match"); m != "" {
		if o := b.objects[a.key]; o != nil && strings.Trim(m, `"`) != o.etag {
			return &refusal{status: http.StatusPreconditionFailed, code: "PreconditionFailed"}
		}
	}
	b.drop(a.key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *bucket) drop(key string) {
	if b.objects[key] != nil {
		delete(b.objects, key)
		b.sorted = nil
	}
}

func (s *Server) deleteMany(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	if a.Header.Get("Content-Md5") == "" {
		return &refusal{status: http.StatusBadRequest, code: "InvalidRequest", message: "Missing required header for this request: Content-MD5"}
	}
	if r := verify(a, a.body); r != nil {
		return r
	}
	var doc struct {
		Object []struct{ Key string }
	}
	if xml.Unmarshal(a.body, &doc) != nil {
		return &refusal{status: http.StatusBadRequest, code: "MalformedXML"}
	}
	for _, o := range doc.Object {
		b.drop(o.Key)
	}
	writeXML(w, &struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	}{})
	return nil
}

func (s *Server) tagging(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	o := b.objects[a.key]
	if o == nil {
		return noSuchKey
	}
	type tag struct{ Key, Value string }
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Tagging"`
		TagSet  struct{ Tag []tag }
	}
	if a.op == "tags" {
		for k, v := range o.tags {
			doc.TagSet.Tag = append(doc.TagSet.Tag, tag{k, v[0]})
		}
		writeXML(w, &doc)
		return nil
	}
	if xml.Unmarshal(a.body, &doc) != nil {
		return &refusal{status: http.StatusBadRequest, code: "MalformedXML"}
	}
	o.tags = url.Values{}
	for _, t := range doc.TagSet.Tag {
		o.tags.Set(t.Key, t.Value)
	}
	return nil
}
