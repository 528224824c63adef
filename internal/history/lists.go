// Package history keeps what happened to keys and can prove it: lists that name
// every key by outcome, and a manifest that closes them with counts and hashes.
// What the outcomes are is decided elsewhere.
package history

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// A list is UTF-8 text without a byte order mark, one key a line, columns
// separated by one TAB, lines ended by one LF. Directories and columns are those
// of Huawei OMS; columns of our own come after them, so that a reader by position
// finds what it knows. Times are RFC 3339 in UTC with milliseconds.
//
// In free columns TAB, CR, LF and "\" are written \t, \r, \n and \\, and a byte
// that is not UTF-8 as \xNN. The encoded name of a failed line is the URL encoding
// of the key's bytes: fed back as an event key it names the object, whether "+" is
// taken for a space there or for a plus.

// SyncedLine is a line of a success list: time, name, size, and DELETED where the
// object was removed.
type SyncedLine struct {
	At      time.Time
	Key     string
	Size    int64 // bytes at the destination
	Deleted bool
}

// FailedLine is a line of a failed list: cause, time, encoded name, name, and the
// store's own error code.
type FailedLine struct {
	Reason    task.Reason
	Cause     string // in words, without secrets; may be empty
	At        time.Time
	Key       string
	Otherwise string // the other key of the event, as long as Key; may be empty
	StoreCode string // e.g. AccessDenied; may be empty
}

// IgnoredLine is a line of a skip list: time, name, size, reason, and the number
// of the rule that excluded the key.
type IgnoredLine struct {
	At     time.Time
	Key    string
	Size   int64 // bytes at the source; at the destination when the source has none
	Reason task.Reason
	Rule   int // from 1; 0 when no rule decided
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// Append appends the line, its LF included.
func (l SyncedLine) Append(dst []byte) []byte {
	dst = appendNamed(dst, l.At, l.Key, l.Size)
	if l.Deleted {
		dst = append(append(dst, '\t'), task.Deleted...)
	}
	return append(dst, '\n')
}

// Append appends the line, its LF included.
func (l FailedLine) Append(dst []byte) []byte {
	dst = append(dst, l.Reason...)
	if l.Cause != "" {
		dst = appendEscaped(append(dst, ": "...), l.Cause)
	}
	dst = l.At.UTC().AppendFormat(append(dst, '\t'), timeFormat)
	dst = appendEncoded(append(dst, '\t'), l.Key, l.Otherwise)
	dst = appendEscaped(append(dst, '\t'), l.Key)
	dst = appendEscaped(append(dst, '\t'), l.StoreCode)
	return append(dst, '\n')
}

// Append appends the line, its LF included.
func (l IgnoredLine) Append(dst []byte) []byte {
	dst = appendNamed(dst, l.At, l.Key, l.Size)
	dst = append(append(dst, '\t'), l.Reason...)
	if l.Rule > 0 {
		dst = strconv.AppendInt(append(dst, '\t'), int64(l.Rule), 10)
	}
	return append(dst, '\n')
}

// appendNamed appends the three columns that success and skip lists share.
func appendNamed(dst []byte, at time.Time, key string, size int64) []byte {
	dst = at.UTC().AppendFormat(dst, timeFormat)
	dst = appendEscaped(append(dst, '\t'), key)
	return strconv.AppendInt(append(dst, '\t'), size, 10)
}

// ParseSyncedLine reads a line of a success list, without its LF.
func ParseSyncedLine(line []byte) (SyncedLine, error) {
	var l SyncedLine
	rest, err := parseNamed(line, &l.At, &l.Key, &l.Size)
	switch {
	case err != nil:
	case len(rest) == 1 && rest[0] == string(task.Deleted):
		l.Deleted = true
	case len(rest) != 0:
		err = fmt.Errorf("success line: unknown columns after the size")
	}
	return l, err
}

// ParseFailedLine reads a line of a failed list, without its LF.
func ParseFailedLine(line []byte) (FailedLine, error) {
	var l FailedLine
	col := strings.Split(string(line), "\t")
	if len(col) != 5 {
		return l, fmt.Errorf("failed line: %d columns instead of 5", len(col))
	}
	reason, cause, hasCause := strings.Cut(col[0], ": ")
	l.Reason = task.Reason(reason)
	var err error
	if l.Cause, err = unescape(cause); err != nil || hasCause && cause == "" {
		return l, fmt.Errorf("failed line: cause: %w", orInvalid(err))
	}
	if l.At, err = parseTime(col[1]); err != nil {
		return l, fmt.Errorf("failed line: %w", err)
	}
	encoded, err := url.QueryUnescape(col[2])
	if err != nil {
		return l, fmt.Errorf("failed line: encoded name: %w", err)
	}
	if l.Key, err = unescape(col[3]); err != nil || l.Key != encoded {
		return l, fmt.Errorf("failed line: the two names differ: %w", orInvalid(err))
	}
	if other, err := url.PathUnescape(col[2]); err == nil && other != l.Key {
		l.Otherwise = other
	}
	if l.StoreCode, err = unescape(col[4]); err != nil {
		return l, fmt.Errorf("failed line: error code: %w", err)
	}
	return l, nil
}

// ParseIgnoredLine reads a line of a skip list, without its LF.
func ParseIgnoredLine(line []byte) (IgnoredLine, error) {
	var l IgnoredLine
	rest, err := parseNamed(line, &l.At, &l.Key, &l.Size)
	if err != nil {
		return l, err
	}
	if len(rest) < 1 || len(rest) > 2 {
		return l, fmt.Errorf("skip line: %d columns instead of 4 or 5", 3+len(rest))
	}
	l.Reason = task.Reason(rest[0])
	if len(rest) == 2 {
		if l.Rule, err = strconv.Atoi(rest[1]); err != nil || l.Rule < 1 {
			return l, fmt.Errorf("skip line: rule %q is no number from 1", rest[1])
		}
	}
	return l, nil
}

func parseNamed(line []byte, at *time.Time, key *string, size *int64) (rest []string, err error) {
	col := strings.Split(string(line), "\t")
	if len(col) < 3 {
		return nil, fmt.Errorf("line has %d columns, at least 3 expected", len(col))
	}
	if *at, err = parseTime(col[0]); err != nil {
		return nil, err
	}
	if *key, err = unescape(col[1]); err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	if *size, err = strconv.ParseInt(col[2], 10, 64); err != nil || *size < 0 {
		return nil, fmt.Errorf("size %q is no number of bytes", col[2])
	}
	return col[3:], nil
}

func parseTime(s string) (time.Time, error) {
	at, err := time.Parse(timeFormat, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q is not RFC 3339 in UTC with milliseconds", s)
	}
	return at, nil
}

var errEscape = fmt.Errorf("invalid escape")

func orInvalid(err error) error {
	if err == nil {
		return errEscape
	}
	return err
}

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends s as a free column.
func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			} else {
				dst = append(dst, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
	}
	return dst
}

// unescape reverses appendEscaped and refuses what it never writes.
func unescape(s string) (string, error) {
	if strings.ContainsAny(s, "\t\r\n") || !utf8.ValidString(s) {
		return "", errEscape
	}
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b bytes.Buffer
	for s != "" {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			break
		}
		if after == "" {
			return "", errEscape
		}
		switch after[0] {
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'n':
			b.WriteByte('\n')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if len(after) < 3 {
				return "", errEscape
			}
			n, err := strconv.ParseUint(after[1:3], 16, 8)
			if err != nil {
				return "", errEscape
			}
			b.WriteByte(byte(n))
			after = after[2:]
		default:
			return "", errEscape
		}
		s = after[1:]
	}
	return b.String(), nil
}

// appendEncoded appends the URL encoding of a key. A space is %20, which every decoder
// reads; where the other key has a plus it is "+", so that an event of the encoded name
// has both keys again.
func appendEncoded(dst []byte, s, other string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		case c == ' ' && len(other) == len(s) && other[i] == '+':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}
