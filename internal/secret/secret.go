// Package secret keeps secrets: String holds one in memory and never prints it, Box
// seals them for the database, and Load finds or makes the key of the box. What is
// sealed, and for whom it may be opened, is decided elsewhere.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret looks like wherever it is printed.
const Redacted = "[redacted]"

// String is a secret. It prints as Redacted under fmt, slog and encoding/json, whatever
// the verb and however deep in another value; Reveal alone gives it away. The zero value
// is the empty secret.
type String struct {
	// A pointer: fmt reaches unexported fields of other structs without asking their
	// methods, and prints a pointer there, not what it points to.
	p *string
}

// New makes a secret of s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{p: &s}
}

// Reveal returns the secret itself: for a signature or a seal, never for a message.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty says whether there is no secret.
func (s String) Empty() bool { return s.p == nil }

// Equal compares in a time that does not depend on where two secrets differ.
func (s String) Equal(t String) bool { return s.Matches(t.Reveal()) }

// Matches is Equal for a secret that a client sent.
func (s String) Matches(given string) bool {
	a, b := sha256.Sum256([]byte(s.Reveal())), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// String implements fmt.Stringer.
func (s String) String() string {
	if s.Empty() {
		return ""
	}
	return Redacted
}

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return s.String() }

// Format implements fmt.Formatter for every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalText takes a secret that a client sent.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
