package cdn

const upperHex = "0123456789ABCDEF"

// escapePath escapes each byte of a path but slashes and those that RFC 3986 calls
// unreserved. Nothing is cleaned: "//" and ".." are parts of keys.
func escapePath(s string) string {
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '/', c == '-', c == '_', c == '.', c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(out)
}
