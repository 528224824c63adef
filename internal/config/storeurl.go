package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	schemeS3   = "s3"
	schemeFile = "file"
)

// ParseStore reads one store address:
//
//	s3://bucket/prefix   the prefix is taken byte for byte; nothing is decoded
//	file:///dir          percent escapes are decoded, as in every file URL
//	/dir ./dir ../dir    a directory, taken as written
//
// A prefix means a folder: without a "/" at its end it gets one. A name with
// neither scheme nor leading "/" or "." is refused, because it may be meant as
// a bucket or as a directory. Errors are *task.Error of kind Invalid and never
// repeat a part of arg that may be a secret.
func ParseStore(arg string) (Store, error) {
	if strings.ContainsRune(arg, 0) {
		return Store{}, invalid("INVALID_ADDRESS", "the address holds a zero byte", "write "+addressForms)
	}
	if isPath(arg) {
		return parseDir(arg)
	}
	scheme, rest, found := strings.Cut(arg, ":")
	rest, slashes := strings.CutPrefix(rest, "//")
	switch {
	case found && strings.EqualFold(scheme, schemeFile):
		return parseFileURL(rest, slashes)
	case found && slashes && strings.EqualFold(scheme, schemeS3):
		return parseS3(rest)
	case found && slashes && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")):
		return Store{}, invalid("UNKNOWN_SCHEME", "an http address does not say which part of it is the bucket",
			"write s3://BUCKET/PREFIX, and the server with --src-endpoint or --dst-endpoint")
	case found && slashes && isScheme(scheme):
		return Store{}, invalid("UNKNOWN_SCHEME", "the scheme "+scheme+":// is not known", "write "+addressForms)
	}
	return Store{}, invalid("MISSING_SCHEME", "the address does not say whether it is a bucket or a directory", "write "+addressForms)
}

const addressForms = "s3://BUCKET/PREFIX for a bucket, file:///DIR or ./DIR for a directory"

func invalid(code, text, next string) error {
	return &task.Error{Kind: task.Invalid, Code: code, Text: text, Next: next}
}

// isPath reports whether arg can only be a path of the file system.
func isPath(arg string) bool {
	return arg == "." || arg == ".." ||
		strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../")
}

// isScheme reports whether s is a URL scheme (RFC 3986), short enough to be no secret.
func isScheme(s string) bool {
	for i, c := range []byte(s) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return false
		}
	}
	return s != "" && len(s) <= 12
}

// parseFileURL reads what follows "file:" or "file://" (RFC 8089).
func parseFileURL(rest string, authority bool) (Store, error) {
	if authority {
		host, path, _ := strings.Cut(rest, "/")
		if host != "" && !strings.EqualFold(host, "localhost") {
			return Store{}, relativeFileURL()
		}
		rest = "/" + path
		if host == "" && path == "" {
			return Store{}, invalid("NO_DIRECTORY", "the file URL names no directory", "write file:///DIR, with three slashes")
		}
	}
	if !strings.HasPrefix(rest, "/") {
		return Store{}, relativeFileURL()
	}
	path, err := url.PathUnescape(rest)
	if err != nil || strings.ContainsRune(path, 0) {
		return Store{}, invalid("INVALID_ADDRESS", "the file URL holds a percent sign that is no escape of a path",
			"write %25 for a percent sign, or give the directory as a plain path")
	}
	return parseDir(path)
}

func relativeFileURL() error {
	return invalid("RELATIVE_FILE_URL", "a file URL must name an absolute directory on this machine",
		"write file:///DIR, with three slashes, or ./DIR")
}

// parseDir makes a directory's path absolute. The root directory is refused: it
// is what is left of file:///$DIR when the variable is not set.
func parseDir(path string) (Store, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return Store{}, &task.Error{
			Kind: task.Invalid, Code: "INVALID_ADDRESS",
			Text: "the directory's absolute path cannot be found", Next: "give an absolute path", Err: err,
		}
	}
	if dir == filepath.Dir(dir) {
		return Store{}, invalid("NO_DIRECTORY", "the root directory cannot be synced as a whole", "name a directory below it")
	}
	return Store{Scheme: schemeFile, Dir: dir}, nil
}

// parseS3 reads what follows "s3://".
func parseS3(rest string) (Store, error) {
	bucket, prefix, _ := strings.Cut(rest, "/")
	// A secret key may hold "/", so that its "@" ends up behind the first one.
	if strings.Contains(bucket, "@") || strings.Contains(bucket, ":") && strings.Contains(prefix, "@") || hasKeyQuery(rest) {
		return Store{}, invalid("KEYS_IN_ADDRESS", "an address must not hold access keys: other users of this machine can read arguments",
			"give keys in LOCKSTEP_SRC_ACCESS_KEY and LOCKSTEP_SRC_SECRET_KEY (…DST… for the destination), and a server with --src-endpoint or --dst-endpoint")
	}
	if bucket == "" {
		return Store{}, invalid("NO_BUCKET", "the address names no bucket", "write s3://BUCKET or s3://BUCKET/PREFIX")
	}
	if !validBucket(bucket) {
		return Store{}, invalid("INVALID_BUCKET", "the bucket name is not valid: 3 to 255 letters, digits, dots, hyphens and underscores, a letter or digit at both ends",
			"check the name between s3:// and the next slash")
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return Store{Scheme: schemeS3, Bucket: bucket, Prefix: prefix}, nil
}

// validBucket takes the widest rule among S3 stores: Amazon's old names and
// Ceph's relaxed ones. The store itself has the last word.
func validBucket(name string) bool {
	if len(name) < 3 || len(name) > 255 || strings.Contains(name, "..") {
		return false
	}
	for i, c := range []byte(name) {
		alnum := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		inside := i > 0 && i < len(name)-1
		if !alnum && (!inside || c != '.' && c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// hasKeyQuery reports whether rest carries keys as URL parameters, as some tools
// write them.
func hasKeyQuery(rest string) bool {
	_, query, _ := strings.Cut(rest, "?")
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, isPair := strings.Cut(pair, "=")
		name = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
		if !isPair {
			continue
		}
		for _, word := range []string{"accesskey", "secret", "token", "signature", "password", "credential"} {
			if strings.Contains(name, word) {
				return true
			}
		}
	}
	return false
}
