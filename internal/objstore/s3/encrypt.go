package s3

import (
	"errors"
	"net/http"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// encryptionWords are in what stores say, lower case, when it is the encryption that they refuse.
var encryptionWords = [...]string{"encrypt", "kms"}

// refusesEncryption reports whether the answer to a request that asks for encryption
// refuses just that. Codes that begin with KMS. are those of the key service ("Error
// responses", S3 API reference); some of them pass. A denial stays one: the permission
// may be that for the bucket or that for the key.
func refusesEncryption(ref *refusal) bool {
	means := kinds[ref.code]
	switch {
	case ref.status != http.StatusBadRequest && ref.status != http.StatusNotImplemented,
		means != nil && !errors.Is(means, objstore.ErrUnsupported):
		return strings.HasPrefix(ref.code, "KMS.") && ref.status < 500 && means == nil
	case strings.HasPrefix(ref.code, "KMS."):
		return true
	}
	said := strings.ToLower(ref.code + " " + ref.message)
	for _, w := range encryptionWords {
		if strings.Contains(said, w) {
			return true
		}
	}
	return false
}

// refusesSomething reports whether a store does not implement something of a request and
// does not say what. When the request asks for encryption it may be that, so what else it
// does without is no lesson, and when nothing else is left it is that.
func refusesSomething(ref *refusal) bool {
	if ref.status != http.StatusNotImplemented {
		return false
	}
	said := strings.ToLower(ref.message)
	for _, f := range features {
		for _, hint := range f.hints {
			if strings.Contains(said, hint) {
				return false
			}
		}
	}
	return true
}
