package api

import (
	"net/http"
	"strings"
)

// Credentials returns the access key of a request: Basic, or Bearer id:secret
// (RFC 7617, RFC 6750). ok is false when there is none, or one that cannot be read.
func Credentials(r *http.Request) (id, secret string, ok bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Basic"):
		id, secret, ok = r.BasicAuth()
	case strings.EqualFold(scheme, "Bearer"):
		id, secret, ok = strings.Cut(strings.TrimSpace(token), ":")
	}
	return id, secret, ok && id != "" && secret != ""
}
