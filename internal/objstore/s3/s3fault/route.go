package s3fault

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// ask is a request, taken apart.
type ask struct {
	*http.Request
	op, bucket, key string
	query           url.Values
	body            []byte
}

// parse takes a request apart. The path is read as it was sent: a key is bytes,
// and neither net/url nor a mux may clean it.
func parse(r *http.Request) *ask {
	target := r.RequestURI
	if i := strings.Index(target, "://"); i >= 0 && !strings.HasPrefix(target, "/") {
		target = target[i+3:]
		if j := strings.IndexByte(target, '/'); j >= 0 {
			target = target[j:]
		}
	}
	path, rawQuery, _ := strings.Cut(target, "?")
	a := &ask{Request: r}
	a.query, _ = url.ParseQuery(rawQuery)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	a.bucket, _ = url.PathUnescape(bucket)
	a.key, _ = url.PathUnescape(key)
	a.op = a.kind()
	return a
}

func (a *ask) kind() string {
	q, copying := a.query, a.Header.Get("X-Amz-Copy-Source") != ""
	switch a.Method {
	case http.MethodHead:
		return "head"
	case http.MethodGet:
		switch {
		case a.bucket == "":
			return "list-buckets"
		case a.key == "":
			return "list"
		case q.Has("uploadId"):
			return "list-parts"
		case q.Has("tagging"):
			return "tags"
		}
		return "get"
	case http.MethodPut:
		switch {
		case q.Has("uploadId") && copying:
			return "copy-part"
		case q.Has("uploadId"):
			return "put-part"
		case q.Has("tagging"):
			return "set-tags"
		case copying:
			return "copy"
		}
		return "put"
	case http.MethodPost:
		switch {
		case q.Has("delete"):
			return "delete-many"
		case q.Has("uploads"):
			return "create"
		case q.Has("uploadId"):
			return "complete"
		case q.Has("restore"):
			return "restore"
		}
	case http.MethodDelete:
		if q.Has("uploadId") {
			return "abort"
		}
		return "delete"
	}
	return ""
}

// serve reads a request whole, breaks it if a fault says so, and records it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	a := parse(r)
	status := 0
	n := s.record(a)
	defer func() { s.answered(n, status) }()
	f := s.fault(a.op, a.key)
	if f != nil && f.Kind == Early {
		status = f.broken(w, r, nil)
		return
	}
	var err error
	if a.body, err = io.ReadAll(r.Body); err == nil || s.opt.StoresTorn {
		a.body, err = a.unframe()
	}
	if err != nil {
		status = refuse(w, r, http.StatusBadRequest, "IncompleteBody", "")
		return
	}
	if a.op == "restore" {
		s.keepBody(n, a.body)
	}
	if s.opt.Name != "" {
		w.Header().Set("Server", s.opt.Name)
	}
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	do := func(w http.ResponseWriter) { status = s.dispatch(w, a) }
	if f != nil {
		if got := f.broken(w, r, do); got != 0 {
			status = got
		}
		return
	}
	do(w)
}

// record notes a request and returns its number.
func (s *Server) record(a *ask) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, Request{
		Op: a.op, Bucket: a.bucket, Key: a.key, Header: a.Header.Clone(), Query: a.URL.RawQuery, Remote: a.RemoteAddr,
	})
	return len(s.seen) - 1
}

func (s *Server) keepBody(n int, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[n].Body = body
}

func (s *Server) answered(n, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[n].Status = status
}

// dispatch serves a request well.
func (s *Server) dispatch(w http.ResponseWriter, a *ask) int {
	if r := s.authenticate(a); r != nil {
		if r.region {
			w.Header().Set("X-Amz-Bucket-Region", s.opt.Region)
		}
		return r.write(w, a.Request)
	}
	if r := s.unwanted(a); r != nil {
		return r.write(w, a.Request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.op == "list-buckets" {
		s.listBuckets(w)
		return http.StatusOK
	}
	b := s.buckets[a.bucket]
	if b == nil {
		if s.opt.SilentMissing {
			w.WriteHeader(http.StatusNotFound)
			return http.StatusNotFound
		}
		return refuse(w, a.Request, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	if len(a.key) > 1024 {
		return refuse(w, a.Request, http.StatusBadRequest, "KeyTooLongError", "Your key is too long")
	}
	var r *refusal
	switch a.op {
	case "list":
		r = s.list(w, a, b)
	case "get", "head":
		r = s.get(w, a, b)
	case "put":
		r = s.put(w, a, b)
	case "copy":
		r = s.copy(w, a, b)
	case "delete":
		r = s.delete(w, a, b)
	case "delete-many":
		r = s.deleteMany(w, a, b)
	case "create":
		s.create(w, a)
	case "put-part", "copy-part":
		r = s.putPart(w, a)
	case "list-parts":
		r = s.listParts(w, a)
	case "complete":
		r = s.complete(w, a, b)
	case "abort":
		r = s.abort(w, a)
	case "restore":
		return s.restore(w, a, b)
	case "tags", "set-tags":
		r = s.tagging(w, a, b)
	default:
		r = &refusal{status: http.StatusNotImplemented, code: "NotImplemented"}
	}
	if r != nil {
		return r.write(w, a.Request)
	}
	return http.StatusOK
}

// unwanted refuses headers the options say the store does not have.
func (s *Server) unwanted(a *ask) *refusal {
	write := a.Method == http.MethodPut || a.Method == http.MethodPost
	has := func(prefix string) bool {
		for name := range a.Header {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	}
	no := func(status int, what string) *refusal {
		if status == http.StatusNotImplemented {
			return &refusal{status, "NotImplemented", "A header you provided implies functionality that is not implemented", false}
		}
		return &refusal{status, "InvalidArgument", what + " is not supported", false}
	}
	switch o := &s.opt; {
	case write && o.RefuseChecksums != 0 && (has("X-Amz-Checksum-") || has("X-Amz-Sdk-Checksum")):
		return no(o.RefuseChecksums, "x-amz-checksum-crc64nvme")
	case write && o.RefuseConditions != 0 && (has("If-Match") || has("If-None-Match")):
		return no(o.RefuseConditions, "If-None-Match")
	case write && o.RefuseEncryption != 0 && has("X-Amz-Server-Side-Encryption"):
		return &refusal{o.RefuseEncryption, "NotImplemented", "Server side encryption specified but KMS is not configured", false}
	case write && o.RefuseTagging != 0 && has("X-Amz-Tagging"):
		return no(o.RefuseTagging, "x-amz-tagging")
	}
	return nil
}

// refusal is an answer that is not a success.
type refusal struct {
	status  int
	code    string
	message string
	region  bool // name the bucket's region
}

func (f *refusal) write(w http.ResponseWriter, r *http.Request) int {
	return refuse(w, r, f.status, f.code, f.message)
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) int {
	if message == "" {
		message = code
	}
	var doc struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		Region    string `xml:",omitempty"`
		RequestID string `xml:"RequestId"`
	}
	doc.Code, doc.Message, doc.RequestID = code, message, "REQ1"
	if code == "AuthorizationHeaderMalformed" {
		doc.Region = w.Header().Get("X-Amz-Bucket-Region")
		w.Header().Del("X-Amz-Bucket-Region")
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		writeXML(w, &doc)
	}
	return status
}

func writeXML(w io.Writer, v any) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	_ = xml.NewEncoder(&b).Encode(v)
	_, _ = w.Write(b.Bytes())
}
