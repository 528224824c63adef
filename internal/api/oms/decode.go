package oms

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// invalid is an error of a request that is wrong.
func invalid(code, next, format string, args ...any) error {
	return &task.Error{Kind: task.Invalid, Code: code, Text: fmt.Sprintf(format, args...), Next: next}
}

// decode reads a body. Members that are not known are ignored: some clients send what
// others of the same version do not know. No body is an object without members.
func decode(body []byte, v any) error {
	if len(body) == 0 {
		return nil
	}
	if err := control.CheckJSON(body); err != nil {
		return invalid(codeJSON, "send UTF-8", "the body is no JSON: it holds bytes that are no UTF-8, or half of a surrogate pair")
	}
	err := json.Unmarshal(body, v)
	var badType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &badType):
		what := strings.TrimPrefix(badType.Field, "crypto.") // the name of a part that bodies share, which clients do not know
		if what == "" {
			what = "the body"
		}
		return invalid(codeType, "", "%s is of the wrong type: it is a JSON %s", what, badType.Value)
	}
	return invalid(codeJSON, "send an object", "the body is no JSON")
}

// text is a string parameter with its limits.
type text struct {
	name     string
	value    string
	required bool
	max      int // characters
}

// checkTexts checks them in order. Clients send what their user forgot as "", so that an
// empty one is a missing one.
func checkTexts(all ...text) error {
	for _, t := range all {
		switch {
		case t.value == "" && t.required:
			return invalid(codeMissing, "set it", "%s is missing", t.name)
		case utf8.RuneCountInString(t.value) > t.max:
			return invalid(codeConstraint, "", "%s is longer than %d characters", t.name, t.max)
		case strings.ContainsRune(t.value, 0):
			return invalid(codeConstraint, "leave it out", "%s has a NUL character", t.name)
		}
	}
	return nil
}

// checkBucket refuses what no store has for the name of a bucket. An empty one passes.
func checkBucket(name, bucket string) error {
	if strings.Contains(bucket, "/") || bucket == "." || bucket == ".." {
		return invalid(codeConstraint, "name the bucket alone", "%s %q is no name of a bucket", name, bucket)
	}
	return nil
}

// choice reads an enumerated parameter; empty is the first of all.
func choice(name, value string, all ...string) (string, error) {
	if value == "" {
		return all[0], nil
	}
	if !slices.Contains(all, value) {
		return "", invalid(codeConstraint, "use "+strings.Join(all, ", "), "%s has an unknown value", name)
	}
	return value, nil
}

// query is the parameters behind the path.
func query(r *request) (url.Values, error) {
	q, err := url.ParseQuery(r.http.URL.RawQuery)
	if err != nil {
		return nil, invalid(codeConstraint, "", "the query cannot be decoded")
	}
	return q, nil
}

// number reads a query parameter within its bounds; def is that of an absent one.
func number(q url.Values, name string, def, least, most int64, code string) (int64, error) {
	s := q.Get(name)
	if s == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, invalid(codeType, "", "%s is no integer", name)
	}
	if n < least || n > most {
		return 0, invalid(code, "", "%s is not in [%d, %d]", name, least, most)
	}
	return n, nil
}

// maxMillis is the last time that any parameter may name, in the year 9999.
const maxMillis = 253402300799999

// millis reads a required time.
func millis(q url.Values, name string) (int64, error) {
	if q.Get(name) == "" {
		return 0, invalid(codeMissing, "set it to a time in milliseconds since 1970", "%s is missing", name)
	}
	return number(q, name, 0, 0, maxMillis, codeConstraint)
}
