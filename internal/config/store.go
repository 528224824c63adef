// Package config turns flags, environment and files into validated settings,
// reports problems as short errors with a code and a next step, and never prints
// a secret.
package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
)

// Store says where a bucket is and how to reach it.
type Store struct {
	Scheme string // "s3" or "file"
	Bucket string // bucket name; "" for a directory
	Prefix string // byte prefix of the keys, "" or ending in "/"
	Dir    string // absolute path of a directory used as a bucket

	Endpoint     string // http(s)://host[:port]; "" is AWS by region
	Region       string
	Provider     string // row of the capability table; "" is found from the endpoint
	AccessKey    string
	SecretKey    string
	SessionToken string
	Anonymous    bool
	VirtualHost  bool   // bucket in the host name instead of the path
	CAFile       string // PEM file of extra certificate authorities
	SignPayload  bool   // sign the payload's SHA-256 instead of UNSIGNED-PAYLOAD
	// Override changes single capabilities, "name=value", as documented in docs/stores.md.
	Override []string
}

// Address is the store as ParseStore reads it, without endpoint and keys. It
// holds the prefix byte for byte; quote it before it meets a terminal.
func (s Store) Address() string {
	if s.Scheme == schemeFile {
		return (&url.URL{Scheme: schemeFile, Path: s.Dir}).String()
	}
	if s.Prefix == "" {
		return s.Scheme + "://" + s.Bucket
	}
	return s.Scheme + "://" + s.Bucket + "/" + s.Prefix
}

// String is the address and the endpoint, without access key, secret or token.
func (s Store) String() string {
	if s.Endpoint == "" {
		return s.Address()
	}
	return s.Address() + " at " + s.Endpoint
}

// Format prints String under every verb, so that no fmt call reaches the secrets.
func (s Store) Format(f fmt.State, verb rune) {
	if verb == 'q' {
		_, _ = fmt.Fprintf(f, "%q", s.String())
		return
	}
	_, _ = io.WriteString(f, s.String())
}

// GoString is String, for code that asks by interface instead of by verb.
func (s Store) GoString() string { return s.String() }

// LogValue is String for slog.
func (s Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes String; a store is not read back from JSON.
func (s Store) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
