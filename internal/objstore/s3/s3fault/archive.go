package s3fault

import (
	"encoding/xml"
	"net/http"
	"time"
)

// archived reports whether an object cannot be read now.
func (s *Server) archived(o *object) bool {
	if !s.opt.Archives || o.class != "GLACIER" && o.class != "DEEP_ARCHIVE" {
		return false
	}
	return o.thaws.IsZero() || s.now().Before(o.thaws)
}

// answerArchived tells how far the restoring of an object is.
func (s *Server) answerArchived(h http.Header, o *object) {
	switch {
	case !o.asked:
	case s.archived(o):
		h.Set("X-Amz-Restore", `ongoing-request="true"`)
	default:
		h.Set("X-Amz-Restore", `ongoing-request="false", expiry-date="`+o.thaws.Add(72*time.Hour).Format(http.TimeFormat)+`"`)
	}
}

// restore asks an archived object back: 202 at first, 409 while it is on its way, 200
// when it is there, 403 for an object that is not archived (RestoreObject, S3 API reference).
func (s *Server) restore(w http.ResponseWriter, a *ask, b *bucket) int {
	var doc struct {
		XMLName xml.Name `xml:"RestoreRequest"`
		Days    int
	}
	o := b.objects[a.key]
	var r *refusal
	switch {
	case o == nil:
		r = noSuchKey
	case xml.Unmarshal(a.body, &doc) != nil || doc.Days < 1:
		r = &refusal{status: http.StatusBadRequest, code: "MalformedXML"}
	case !s.opt.Archives || o.class != "GLACIER" && o.class != "DEEP_ARCHIVE":
		r = &refusal{http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class", false}
	case !s.archived(o):
		w.WriteHeader(http.StatusOK)
		return http.StatusOK
	case o.asked:
		r = &refusal{http.StatusConflict, "RestoreAlreadyInProgress", "Object restore is already in progress", false}
	}
	if r != nil {
		return r.write(w, a.Request)
	}
	o.asked = true
	if s.opt.ThawAfter > 0 {
		o.thaws = s.now().Add(s.opt.ThawAfter)
	}
	w.WriteHeader(http.StatusAccepted)
	return http.StatusAccepted
}

// Archiving makes a running server one that archives: objects come back by Thaw, or that
// long after they were asked back.
func (s *Server) Archiving(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Archives, s.opt.ThawAfter = true, after
}

// Thaw makes an archived object readable.
func (s *Server) Thaw(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[bucket].objects[key]
	o.asked, o.thaws = true, s.now()
}

// SetModified sets when an object was modified last.
func (s *Server) SetModified(bucket, key string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[bucket].objects[key].mtime = at.UTC()
}

// Archive gives an object the class GLACIER behind the API's back, and takes back what
// was restored of it.
func (s *Server) Archive(bucket, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[bucket].objects[key]
	o.class, o.asked, o.thaws = "GLACIER", false, time.Time{}
}
