package oms

import (
	"net/url"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Limits of a key: of its encoded form in characters, as OMS documents it, and of the
// object's name in bytes, as S3 has it.
const (
	maxEncodedKey = 16_384
	maxKey        = 1024
)

// createEvents accepts events, all of a request or none. When it answers they are on
// disk; whether the objects can be synchronized is told by the lists.
func (a *API) createEvents(r *request) error {
	var in events
	if err := decode(r.body, &in); err != nil {
		return err
	}
	if len(in.ObjectKeys) == 0 {
		return invalid(codeMissing, "name at least one key", "object_keys is missing or empty")
	}
	if len(in.ObjectKeys) > a.maxKeys {
		return invalid(codeConstraint, "send them in several requests", "object_keys has %d keys, at most %d are allowed", len(in.ObjectKeys), a.maxKeys)
	}
	batch := make([]control.Event, len(in.ObjectKeys))
	for i, text := range in.ObjectKeys {
		if text == nil {
			return invalid(codeType, "", "object_keys[%d] is null", i)
		}
		e, err := a.event(*text)
		if err != nil {
			return invalid(codeConstraint, "encode the object's name as a form does, e.g. a%20b or a+b for \"a b\"", "object_keys[%d] %v", i, err)
		}
		batch[i] = e
	}
	if !task.ID(r.path.id).Valid() {
		return errNoTask
	}
	if _, err := a.control.AcceptEvents(r.ctx(), r.who, r.path.id, batch); err != nil {
		return err
	}
	writeNothing(r.w)
	return nil
}

// badKey is what is wrong with a key, to be said after its name.
type badKey string

func (e badKey) Error() string { return string(e) }

// event decodes one key. Names are opaque: no "..", slash or case is touched. A "+" is a
// space; for those who send names as they are, the name with its literal "+" is what is
// synced when the source does not hold the other.
func (a *API) event(encoded string) (e control.Event, err error) {
	if len(encoded) > maxEncodedKey && utf8.RuneCountInString(encoded) > maxEncodedKey {
		return e, badKey("is longer than 16384 characters")
	}
	literal, err := url.PathUnescape(encoded)
	if err != nil {
		return e, badKey("is not URL-encoded: a % is not followed by two hexadecimal digits")
	}
	e.Key = literal
	if a.formKeys {
		if e.Key, err = url.QueryUnescape(encoded); err != nil {
			return e, badKey("is not URL-encoded")
		}
		if e.Key != literal {
			e.Otherwise = literal
		}
	}
	switch {
	case e.Key == "":
		return e, badKey("is empty")
	case !utf8.ValidString(e.Key):
		return e, badKey("is not UTF-8 after decoding")
	case len(e.Key) > maxKey:
		return e, badKey("names an object of more than 1024 bytes")
	}
	return e, nil
}
