package elastic

import (
	"net/http"
	"slices"
	"strings"
)

// shape is what a request's body may hold at its top: an unknown field is refused, as is
// a value of another kind.
type shape struct {
	name     string // of Elasticsearch's parser: it stands in errors
	fields   map[string]token
	required []string
}

// read reads a body of this shape.
func (s shape) read(body []byte) (*input, error) {
	if len(body) == 0 {
		return nil, &exception{status: http.StatusBadRequest, kind: "parse_exception", reason: "request body is required"}
	}
	n, err := readNode(body)
	if err != nil {
		return nil, err
	}
	if n.token != tokObject {
		return nil, unparsable(n.at, "[%s] Expected START_OBJECT but was: %s", s.name, n.token)
	}
	for _, f := range n.fields {
		takes, known := s.fields[f.name]
		if !known {
			return nil, unparsable(f.at, "[%s] unknown field [%s]", s.name, f.name)
		}
		if takes&f.value.token == 0 {
			return nil, unparsable(f.value.at, "[%s] %s doesn't support values of type: %s", s.name, f.name, f.value.token)
		}
	}
	var absent []string
	for _, name := range s.required {
		if n.get(name) == nil {
			absent = append(absent, name)
		}
	}
	if len(absent) > 0 {
		return nil, illegalArgument("Required [%s]", strings.Join(absent, ", "))
	}
	return &input{shape: s, node: n}, nil
}

// input is a body that has its shape.
type input struct {
	shape shape
	*node
}

// bad says that the value of a field cannot be read, and why.
func (in *input) bad(name string, why *exception) *exception {
	x := unparsable(in.get(name).at, "[%s] failed to parse field [%s]", in.shape.name, name)
	x.cause = why
	return x
}

// text returns the text of a field; given is false for an absent field and for null.
func (in *input) text(name string) (s string, given bool) {
	n := in.get(name)
	if n == nil || n.token != tokString {
		return "", false
	}
	return n.text, true
}

// truth reads a boolean, which may be written as text; an absent one is false.
func (in *input) truth(name string) (bool, error) {
	n := in.get(name)
	switch {
	case n == nil || n.token == tokNull:
		return false, nil
	case n.token == tokBool:
		return n.truth, nil
	}
	if n.text != "true" && n.text != "false" {
		return false, in.bad(name, illegalArgument("Failed to parse value [%s] as only [true] or [false] are allowed.", n.text))
	}
	return n.text == "true", nil
}

// word returns the text of a field in lower case when it is one of these.
func (in *input) word(name, what string, of []string) (word string, given bool, err error) {
	s, given := in.text(name)
	if !given {
		return "", false, nil
	}
	if w := strings.ToLower(s); slices.Contains(of, w) {
		return w, true, nil
	}
	return "", false, in.bad(name, illegalArgument("Unknown %s: %s", what, s))
}
