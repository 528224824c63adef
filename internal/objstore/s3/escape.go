package s3

const upperHex = "0123456789ABCDEF"

// unreserved bytes go out as they are; all others as %XX (RFC 3986, and the
// canonical request of Signature Version 4).
var unreserved = func() (t [256]bool) {
	for c := range 256 {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~'
	}
	return t
}()

// appendPath appends s escaped as a path: slashes stay.
func appendPath(dst []byte, s string) []byte {
	start := 0
	for i := range len(s) {
		if c := s[i]; !unreserved[c] && c != '/' {
			dst = append(dst, s[start:i]...)
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			start = i + 1
		}
	}
	return append(dst, s[start:]...)
}

// appendQuery appends s escaped as a name or value of a query.
func appendQuery(dst []byte, s string) []byte {
	start := 0
	for i := range len(s) {
		if c := s[i]; !unreserved[c] {
			dst = append(dst, s[start:i]...)
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			start = i + 1
		}
	}
	return append(dst, s[start:]...)
}

// queryEscape is appendQuery for a single value.
func queryEscape(s string) string { return string(appendQuery(nil, s)) }

// unescape decodes the url encoding of a listing in place: %XX, and + for a
// space, as AWS writes it. It reports false when a % is followed by no two
// hexadecimal digits.
func unescape(p []byte) ([]byte, bool) {
	n := 0
	for i := 0; i < len(p); i, n = i+1, n+1 {
		switch p[i] {
		case '%':
			if i+2 >= len(p) {
				return nil, false
			}
			hi, lo := unhex(p[i+1]), unhex(p[i+2])
			if hi|lo > 15 {
				return nil, false
			}
			p[n] = hi<<4 | lo
			i += 2
		case '+':
			p[n] = ' '
		default:
			p[n] = p[i]
		}
	}
	return p[:n], true
}

// unhex returns the value of a hexadecimal digit, 255 when it is none.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
