package s3fault

import "net/http"

const encryption = "X-Amz-Server-Side-Encryption"

// seal gives an object the encryption that a request asks for. Like those of S3, ETags of
// what a managed key encrypts are no MD5s.
func (s *Server) seal(a *ask, o *object) {
	if s.opt.Encrypts {
		o.encryption = a.Header.Get(encryption)
	}
	o.etag = o.sealed(o.etag)
}

func (o *object) sealed(etag string) string {
	if o.encryption == "" || etag == "" {
		return etag
	}
	return md5Hex([]byte(o.encryption + etag))
}

// answerSealed tells how an object that was just written is encrypted.
func (s *Server) answerSealed(w http.ResponseWriter, o *object) {
	if o.encryption != "" && !s.opt.QuietEncryption {
		w.Header().Set(encryption, o.encryption)
	}
}

// Encrypting makes a running server obey requests for encryption.
func (s *Server) Encrypting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Encrypts = true
}

// Encryption is how an object is encrypted.
func (s *Server) Encryption(bucket, key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.buckets[bucket].objects[key]
	if o == nil {
		return ""
	}
	return o.encryption
}
