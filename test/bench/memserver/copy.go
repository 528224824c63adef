package memserver

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// copyObject makes an object or a part of another object. The bytes are shared.
func (s *Server) copyObject(w http.ResponseWriter, r *http.Request, name, key string, query url.Values) {
	path, _, _ := strings.Cut(r.Header.Get(copySourceHeader), "?")
	path, _ = url.PathUnescape(strings.TrimPrefix(path, "/"))
	srcName, srcKey, _ := strings.Cut(path, "/")
	from := s.lookup(srcName, srcKey)
	if from == nil {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	if !matches(r.Header.Get("X-Amz-Copy-Source-If-Match"), from.etag) {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	o := &object{parts: from.parts, size: from.size, etag: from.etag, header: from.header, mtime: time.Now().UTC()}
	if r.Header.Get("X-Amz-Metadata-Directive") == "REPLACE" {
		o.header = keptHeader(r.Header)
	}
	if spec, given := strings.CutPrefix(r.Header.Get("X-Amz-Copy-Source-Range"), "bytes="); given {
		off, end, ok := parseRange(spec, from.size)
		if !ok {
			fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		o.cut(off, end)
	} else if query.Has("uploadId") {
		o.cut(0, o.size) // a part is one piece with an MD5 of its own
	}
	if code := s.keep(r, name, key, o, query); code != "" {
		failStore(w, code)
		return
	}
	result := "CopyObjectResult"
	if query.Has("uploadId") {
		result = "CopyPartResult"
	}
	writeXML(w, fmt.Appendf(nil, "<%s><LastModified>%s</LastModified><ETag>&quot;%s&quot;</ETag></%s>",
		result, o.mtime.Format(timeFormat), o.etag, result))
}

// cut reduces o to the bytes [off, end).
func (o *object) cut(off, end int64) {
	piece := bytes.Join(o.parts, nil)[off:end]
	sum := md5.Sum(piece)
	o.parts, o.size, o.etag = [][]byte{piece}, end-off, hex.EncodeToString(sum[:])
}
