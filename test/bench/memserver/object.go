package memserver

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) serveObject(w http.ResponseWriter, r *http.Request, name, key string, query url.Values) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.readObject(w, r, name, key, query)
	case http.MethodPut:
		s.writeObject(w, r, name, key, query)
	case http.MethodPost:
		s.postMultipart(w, r, name, key, query)
	case http.MethodDelete:
		if id := query.Get("uploadId"); id != "" {
			s.abort(id)
		} else {
			s.remove(name, key)
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func (s *Server) readObject(w http.ResponseWriter, r *http.Request, name, key string, query url.Values) {
	o := s.lookup(name, key)
	switch {
	case slices.ContainsFunc([]string{"acl", "attributes", "uploadId", "retention", "legal-hold"}, query.Has):
		fail(w, http.StatusNotImplemented, "NotImplemented")
	case o == nil:
		fail(w, http.StatusNotFound, "NoSuchKey")
	case query.Has("tagging"):
		writeXML(w, []byte("<Tagging><TagSet></TagSet></Tagging>"))
	case !matches(r.Header.Get("If-Match"), o.etag):
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		o.serve(w, r, query)
	}
}

func matches(condition, etag string) bool {
	return condition == "" || strings.Trim(condition, `"`) == etag
}

// serve answers with the object, the range or the part that r asks for.
func (o *object) serve(w http.ResponseWriter, r *http.Request, query url.Values) {
	h := w.Header()
	h["Etag"] = []string{`"` + o.etag + `"`}
	h["Last-Modified"] = []string{o.mtime.Format(http.TimeFormat)}
	h["Accept-Ranges"] = []string{"bytes"}
	h["Content-Type"] = []string{"application/octet-stream"}
	maps.Copy(h, o.header)
	off, end, partial, ok := o.window(r, query)
	if !ok {
		fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
		return
	}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h["Content-Range"] = []string{fmt.Sprintf("bytes %d-%d/%d", off, end-1, o.size)}
	}
	if query.Has("partNumber") && len(o.parts) > 1 {
		h["X-Amz-Mp-Parts-Count"] = []string{strconv.Itoa(len(o.parts))}
	}
	h["Content-Length"] = []string{strconv.FormatInt(end-off, 10)}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		o.write(w, off, end)
	}
}

// window returns the bytes [off, end) that r asks for.
func (o *object) window(r *http.Request, query url.Values) (off, end int64, partial, ok bool) {
	if number, err := strconv.Atoi(query.Get("partNumber")); err == nil {
		if number < 1 || number > len(o.parts) {
			return 0, 0, false, false
		}
		for _, part := range o.parts[:number-1] {
			off += int64(len(part))
		}
		return off, off + int64(len(o.parts[number-1])), o.size > 0, true
	}
	spec, given := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !given {
		return 0, o.size, false, true
	}
	off, end, ok = parseRange(spec, o.size)
	return off, end, true, ok
}

// parseRange returns the bytes [off, end) of "a-b", "a-" or "-n".
func parseRange(spec string, size int64) (off, end int64, ok bool) {
	first, last, _ := strings.Cut(spec, "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if first == "" {
		return max(0, size-n), size, err == nil && n > 0 && size > 0
	}
	off, firstErr := strconv.ParseInt(first, 10, 64)
	if last == "" {
		return off, size, firstErr == nil && off < size
	}
	return off, min(n+1, size), err == nil && firstErr == nil && off <= n && off < size
}

func (o *object) write(w io.Writer, off, end int64) {
	for _, part := range o.parts {
		n := int64(len(part))
		if off < n {
			if _, err := w.Write(part[off:min(n, end)]); err != nil {
				return
			}
		}
		off, end = max(0, off-n), end-n
		if end <= 0 {
			return
		}
	}
}

func (s *Server) writeObject(w http.ResponseWriter, r *http.Request, name, key string, query url.Values) {
	switch {
	case query.Has("acl"), query.Has("tagging"):
		_, _ = io.Copy(io.Discard, r.Body)
	case isCopy(r.Header):
		s.copyObject(w, r, name, key, query)
	default:
		o, code := receive(r)
		if code != "" {
			fail(w, http.StatusBadRequest, code)
			return
		}
		if code := s.keep(r, name, key, o, query); code != "" {
			failStore(w, code)
			return
		}
		w.Header()["Etag"] = []string{`"` + o.etag + `"`}
	}
}

// keep stores a part of an upload, or an object.
func (s *Server) keep(r *http.Request, name, key string, o *object, query url.Values) (code string) {
	if id := query.Get("uploadId"); id != "" {
		number, _ := strconv.Atoi(query.Get("partNumber"))
		return s.keepPart(id, number, o)
	}
	return s.store(name, key, o, conditionOf(r))
}

// receive makes an object of a request's payload.
func receive(r *http.Request) (o *object, code string) {
	b, err := readBody(r)
	if err != nil {
		return nil, "IncompleteBody"
	}
	sum := md5.Sum(b)
	if want := r.Header.Get("Content-Md5"); want != "" && want != base64.StdEncoding.EncodeToString(sum[:]) {
		return nil, "BadDigest"
	}
	return &object{
		parts: [][]byte{b}, size: int64(len(b)), etag: hex.EncodeToString(sum[:]),
		header: keptHeader(r.Header), mtime: time.Now().UTC(),
	}, ""
}

// keptHeader returns what of a request's headers belongs to the object.
func keptHeader(h http.Header) http.Header {
	kept := http.Header{}
	for name, values := range h {
		switch name {
		case "Content-Type", "Cache-Control", "Content-Disposition", "Content-Language", "Expires":
			kept[name] = values
		case "Content-Encoding":
			if value := strings.Trim(strings.ReplaceAll(values[0], "aws-chunked", ""), ", "); value != "" {
				kept[name] = []string{value}
			}
		default:
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				kept[name] = values
			}
		}
	}
	return kept
}

func (s *Server) deleteMany(w http.ResponseWriter, r *http.Request, name string) {
	body, err := readBody(r)
	var asked struct {
		Object []struct{ Key string }
	}
	if err != nil || xml.Unmarshal(body, &asked) != nil {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var b bytes.Buffer
	b.WriteString("<DeleteResult>")
	for _, o := range asked.Object {
		s.remove(name, o.Key)
		b.WriteString("<Deleted><Key>" + escapeText(o.Key) + "</Key></Deleted>")
	}
	b.WriteString("</DeleteResult>")
	writeXML(w, b.Bytes())
}
