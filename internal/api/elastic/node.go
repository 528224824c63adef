package elastic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// token is the kind of a JSON value, as Elasticsearch names it.
type token uint8

const (
	tokObject token = 1 << iota
	tokArray
	tokString
	tokNumber
	tokBool
	tokNull
)

func (t token) String() string {
	switch t {
	case tokObject:
		return "START_OBJECT"
	case tokArray:
		return "START_ARRAY"
	case tokString:
		return "VALUE_STRING"
	case tokNumber:
		return "VALUE_NUMBER"
	case tokBool:
		return "VALUE_BOOLEAN"
	case tokNull:
		return "VALUE_NULL"
	}
	return "UNKNOWN"
}

// position is where a value or a name begins in a body; both count from 1.
type position struct{ line, column int }

func (p position) String() string { return fmt.Sprintf("[%d:%d]", p.line, p.column) }

// node is a JSON value that remembers where it stood, since errors say so.
type node struct {
	token  token
	at     position
	text   string // of a string or a number
	truth  bool
	items  []*node
	fields []field // in the order of the body, each name once
}

type field struct {
	name  string
	at    position
	value *node
}

// get returns the value of a field; nil: there is none.
func (n *node) get(name string) *node {
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

// value is the node as package json has it, with numbers to the letter.
func (n *node) value() any {
	switch n.token {
	case tokObject:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.name] = f.value.value()
		}
		return m
	case tokArray:
		s := make([]any, len(n.items))
		for i, x := range n.items {
			s[i] = x.value()
		}
		return s
	case tokString:
		return n.text
	case tokNumber:
		return json.Number(n.text)
	case tokBool:
		return n.truth
	case tokNull:
	}
	return nil
}

// unparsable is an error of a body that is no JSON, or none that is wanted.
func unparsable(at position, format string, args ...any) *exception {
	return &exception{status: http.StatusBadRequest, kind: "x_content_parse_exception", reason: at.String() + " " + fmt.Sprintf(format, args...)}
}

// maxDepth is how deep objects and arrays may be within one another.
const maxDepth = 100

// reader reads the tokens of a body and knows where they begin.
type reader struct {
	raw []byte
	dec *json.Decoder
	// at is the position of the byte at offset seen.
	at   position
	seen int
}

// readNode reads a body that is one JSON value.
func readNode(raw []byte) (*node, error) {
	if !utf8.Valid(raw) {
		return nil, unparsable(position{1, 1}, "Invalid UTF-8")
	}
	r := &reader{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw)), at: position{1, 1}}
	r.dec.UseNumber()
	n, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if at := r.skip(" \t\r\n"); at < len(raw) {
		return nil, unparsable(r.position(at), "Unexpected content after the end of the body")
	}
	return n, nil
}

// next is the offset at which the next token begins.
func (r *reader) next() int { return r.skip(" \t\r\n,:") }

// skip is the offset of the first byte from here on that is none of these.
func (r *reader) skip(these string) int {
	at := int(r.dec.InputOffset())
	for at < len(r.raw) && strings.IndexByte(these, r.raw[at]) >= 0 {
		at++
	}
	return at
}

// position of an offset, which is never below that of the call before.
func (r *reader) position(offset int) position {
	for ; r.seen < offset; r.seen++ {
		switch b := r.raw[r.seen]; {
		case b == '\n':
			r.at = position{r.at.line + 1, 1}
		case utf8.RuneStart(b):
			r.at.column++
		}
	}
	return r.at
}

func (r *reader) token() (json.Token, position, error) {
	at := r.position(r.next())
	t, err := r.dec.Token()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, at, unparsable(at, "Unexpected end-of-input")
	case err != nil:
		return nil, at, unparsable(at, "Unexpected character: the body is no JSON")
	}
	return t, at, nil
}

func (r *reader) value(depth int) (*node, error) {
	t, at, err := r.token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, unparsable(at, "the body is nested deeper than %d levels", maxDepth)
	}
	n := &node{at: at}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			n.token = tokObject
			return n, r.object(n, depth)
		}
		n.token = tokArray
		return n, r.array(n, depth)
	case string:
		n.token, n.text = tokString, t
	case json.Number:
		n.token, n.text = tokNumber, t.String()
	case bool:
		n.token, n.truth = tokBool, t
	case nil:
		n.token = tokNull
	}
	return n, nil
}

func (r *reader) object(n *node, depth int) error {
	names := map[string]struct{}{}
	for r.dec.More() {
		t, at, err := r.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return unparsable(at, "Unexpected character: the body is no JSON")
		}
		if _, twice := names[name]; twice {
			return unparsable(at, "Duplicate field '%s'", name)
		}
		names[name] = struct{}{}
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, field{name, at, v})
	}
	_, _, err := r.token()
	return err
}

func (r *reader) array(n *node, depth int) error {
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
	}
	_, _, err := r.token()
	return err
}
