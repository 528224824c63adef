package s3

import (
	"net/http"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// encryptionWords are in what stores say, lower case, when it is the encryption that they refuse.
var encryptionWords = [...]string{"encrypt", "kms"}

// refusesEncryption reports whether the answer to a request that asks for encryption
// refuses just that. Codes that begin with KMS. are those of the key service ("Error
// responses", S3 API reference); some of them pass. A store that does not implement something and does not
// say what is taken to speak of it too, since no such request is repeated without. A
// denial stays one: the permission may be that for the bucket or that for the key.
func refusesEncryption(ref *refusal) bool {
	switch {
	case ref.status >= 500 && ref.status != http.StatusNotImplemented, kinds[ref.code] != nil && kinds[ref.code] != objstore.ErrUnsupported:
		return false
	case strings.HasPrefix(ref.code, "KMS."):
		return true
	case ref.status != http.StatusBadRequest && ref.status != http.StatusNotImplemented:
		return false
	}
	said := strings.ToLower(ref.code + " " + ref.message)
	for _, w := range encryptionWords {
		if strings.Contains(said, w) {
			return true
		}
	}
	return ref.status == http.StatusNotImplemented && !speaksOfFeature(said)
}

// speaksOfFeature reports whether a message names something a request can do without.
func speaksOfFeature(said string) bool {
	for _, f := range features {
		for _, hint := range f.hints {
			if strings.Contains(said, hint) {
				return true
			}
		}
	}
	return false
}
