package memserver

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func (s *Server) postMultipart(w http.ResponseWriter, r *http.Request, name, key string, query url.Values) {
	switch {
	case query.Has("uploads"):
		s.begin(w, r, name, key)
	case query.Has("uploadId"):
		s.complete(w, r, query.Get("uploadId"))
	default:
		fail(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func (s *Server) begin(w http.ResponseWriter, r *http.Request, name, key string) {
	s.mu.Lock()
	known := s.buckets[name] != nil
	s.lastID++
	id := fmt.Sprintf("upload-%d", s.lastID)
	if known {
		s.uploads[id] = &upload{bucket: name, key: key, header: keptHeader(r.Header), parts: map[int]*object{}}
	}
	s.mu.Unlock()
	if !known {
		fail(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	writeXML(w, fmt.Appendf(nil,
		"<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>",
		name, escapeText(key), id))
}

func (s *Server) keepPart(id string, number int, o *object) (code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.uploads[id]
	if up == nil {
		return "NoSuchUpload"
	}
	up.parts[number] = o
	return ""
}

func (s *Server) abort(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, id string) {
	body, err := readBody(r)
	var asked struct {
		Part []namedPart
	}
	if err != nil || xml.Unmarshal(body, &asked) != nil || len(asked.Part) == 0 {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	s.mu.Lock()
	up := s.uploads[id]
	s.mu.Unlock()
	if up == nil {
		fail(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	o := s.join(up, asked.Part)
	if o == nil {
		fail(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	if code := s.store(up.bucket, up.key, o, conditionOf(r)); code != "" {
		failStore(w, code)
		return
	}
	s.abort(id)
	writeXML(w, fmt.Appendf(nil,
		"<CompleteMultipartUploadResult><Location>/%s/%s</Location><Bucket>%s</Bucket><Key>%s</Key><ETag>&quot;%s&quot;</ETag></CompleteMultipartUploadResult>",
		up.bucket, escapeText(up.key), up.bucket, escapeText(up.key), o.etag))
}

// namedPart is a part as a completion names it.
type namedPart struct {
	PartNumber int
	ETag       string
}

// join makes the object of the named parts; nil when one is not there.
// Its ETag is the MD5 of the parts' MD5s and their number, as S3 has it.
func (s *Server) join(up *upload, names []namedPart) *object {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &object{header: up.header, mtime: time.Now().UTC()}
	sums := md5.New()
	for _, name := range names {
		part := up.parts[name.PartNumber]
		if part == nil || name.ETag != "" && strings.Trim(name.ETag, `"`) != part.etag {
			return nil
		}
		raw, _ := hex.DecodeString(part.etag)
		sums.Write(raw)
		o.parts = append(o.parts, part.parts...)
		o.size += part.size
	}
	o.etag = fmt.Sprintf("%x-%d", sums.Sum(nil), len(names))
	return o
}
