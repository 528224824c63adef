package s3fault

import (
	"bytes"
	"crypto/md5" // ETags and Content-MD5 are MD5s
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

type upload struct {
	key       string
	object    object // what it becomes, but for the bytes
	announced string // x-amz-checksum-algorithm
	parts     map[int]*object
}

var noSuchUpload = &refusal{status: http.StatusNotFound, code: "NoSuchUpload", message: "The specified upload does not exist."}

func (s *Server) create(w http.ResponseWriter, a *ask) {
	s.nextID++
	id := "upload/" + strconv.Itoa(s.nextID) + "+=" // must be escaped in a query
	u := &upload{key: a.key, parts: make(map[int]*object), announced: a.Header.Get("X-Amz-Checksum-Algorithm")}
	s.dress(a, &u.object)
	s.uploads[id] = u
	s.answerSealed(w, &u.object)
	var doc struct {
		XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket   string
		UploadID string `xml:"UploadId"`
	}
	doc.Bucket, doc.UploadID = a.bucket, id
	writeXML(w, &doc)
}

// upload returns the upload a request names.
func (s *Server) upload(a *ask) (*upload, *refusal) {
	u := s.uploads[a.query.Get("uploadId")]
	if u == nil || u.key != a.key {
		return nil, noSuchUpload
	}
	return u, nil
}

func (s *Server) putPart(w http.ResponseWriter, a *ask) *refusal {
	u, r := s.upload(a)
	if r != nil {
		return r
	}
	n, _ := strconv.Atoi(a.query.Get("partNumber"))
	if n < 1 || n > 10_000 {
		return &refusal{status: http.StatusBadRequest, code: "InvalidArgument"}
	}
	data := a.body
	if a.op == "copy-part" {
		from, r := s.source(a)
		if r != nil {
			return r
		}
		data = from.data
		if v := a.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
			lo, hi, ok := parseRange(v, len(data))
			if !ok {
				return &refusal{status: http.StatusBadRequest, code: "InvalidArgument"}
			}
			data = data[lo:hi]
		}
	}
	if r := verify(a, data); r != nil {
		return r
	}
	if a.Header.Get("X-Amz-Checksum-Crc64nvme") != "" && u.announced != "CRC64NVME" {
		return &refusal{
			status: http.StatusBadRequest, code: "InvalidRequest",
			message: "Checksum Type mismatch occurred, expected checksum Type: null, actual checksum Type: crc64nvme",
		}
	}
	o := &object{data: data, etag: md5Hex(data), crc: objstore.UpdateCRC64(0, data), mtime: s.now().UTC()}
	u.parts[n] = o
	if a.op == "copy-part" {
		var doc struct {
			XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
			ETag         string
			LastModified string
		}
		doc.ETag, doc.LastModified = `"`+o.etag+`"`, o.mtime.Format(time.RFC3339)
		writeXML(w, &doc)
		return nil
	}
	s.answerStored(w, o)
	return nil
}

// partsPerPage keeps answers short, so that clients must page.
const partsPerPage = 3

func (s *Server) listParts(w http.ResponseWriter, a *ask) *refusal {
	u, r := s.upload(a)
	if r != nil {
		return r
	}
	type part struct {
		PartNumber int
		ETag       string
		Size       int
	}
	var doc struct {
		XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []part
	}
	after, _ := strconv.Atoi(a.query.Get("part-number-marker"))
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		switch {
		case n <= after:
		case len(doc.Part) == partsPerPage:
			doc.IsTruncated = true
		default:
			doc.Part = append(doc.Part, part{n, `"` + u.parts[n].etag + `"`, len(u.parts[n].data)})
			doc.NextPartNumberMarker = n
		}
	}
	writeXML(w, &doc)
	return nil
}

func (s *Server) complete(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	u, r := s.upload(a)
	if r != nil {
		return r
	}
	var doc struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if xml.Unmarshal(a.body, &doc) != nil || len(doc.Part) == 0 {
		return &refusal{status: http.StatusBadRequest, code: "MalformedXML"}
	}
	o := u.object
	var data bytes.Buffer
	sums := md5.New()
	last := 0
	for i, line := range doc.Part {
		p := u.parts[line.PartNumber]
		switch {
		case line.PartNumber <= last:
			return &refusal{status: http.StatusBadRequest, code: "InvalidPartOrder"}
		case p == nil || strings.Trim(line.ETag, `"`) != p.etag:
			return &refusal{status: http.StatusBadRequest, code: "InvalidPart"}
		case i < len(doc.Part)-1 && int64(len(p.data)) < s.opt.MinPart:
			return &refusal{status: http.StatusBadRequest, code: "EntityTooSmall"}
		}
		last = line.PartNumber
		data.Write(p.data)
		o.parts = append(o.parts, len(p.data))
		raw, _ := hex.DecodeString(p.etag)
		sums.Write(raw)
	}
	o.data = data.Bytes()
	o.etag = fmt.Sprintf("%x-%d", sums.Sum(nil), len(doc.Part))
	o.etag = o.sealed(o.etag)
	o.crc = objstore.UpdateCRC64(0, o.data)
	o.mtime = s.now().UTC().Truncate(time.Millisecond)
	if v := a.Header.Get("X-Amz-Checksum-Crc64nvme"); v != "" && v != crcText(o.crc) {
		return &refusal{status: http.StatusBadRequest, code: "BadDigest", message: "The CRC64NVME you specified did not match"}
	}
	if r := judge(a, b.objects[a.key]); r != nil {
		return r
	}
	b.set(a.key, &o)
	delete(s.uploads, a.query.Get("uploadId"))
	var answer struct {
		XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		ETag              string
		ChecksumCRC64NVME string `xml:",omitempty"`
		ChecksumType      string `xml:",omitempty"`
	}
	answer.ETag = `"` + o.etag + `"`
	s.answerSealed(w, &o)
	if s.opt.RefuseChecksums == 0 {
		answer.ChecksumCRC64NVME, answer.ChecksumType = crcText(o.crc), "FULL_OBJECT"
	}
	writeXML(w, &answer)
	return nil
}

func (s *Server) abort(w http.ResponseWriter, a *ask) *refusal {
	if _, r := s.upload(a); r != nil {
		return r
	}
	delete(s.uploads, a.query.Get("uploadId"))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Uploads returns how many uploads are open.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}
