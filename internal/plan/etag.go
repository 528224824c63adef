package plan

import "strings"

// evidence is what two ETags say about the two contents.
type evidence uint8

const (
	inconclusive evidence = iota
	same
	different
)

// compareETags weighs two ETags that both stores derive from MD5s
// (objstore.ETagMD5). Case does not matter: some stores write capitals.
//
//	source   destination   says
//	MD5      equal MD5     same
//	MD5      other MD5     different
//	MD5-N    equal MD5-N   same: cut alike, and every part equal
//	MD5-N    other MD5-M   inconclusive: it depends on how the object was cut
//	MD5      MD5-N         inconclusive, either way round
//	other    anything      inconclusive, "" too
func compareETags(src, dst string) evidence {
	srcPlain, srcOK := md5ETag(src)
	if !srcOK {
		return inconclusive
	}
	if src == dst {
		return same
	}
	dstPlain, dstOK := md5ETag(dst)
	switch {
	case !dstOK || srcPlain != dstPlain:
		return inconclusive
	case strings.EqualFold(src, dst):
		return same
	case srcPlain:
		return different
	}
	return inconclusive
}

const md5Digits = 32

// notHex is 0 for the hexadecimal digits: one look-up a byte, since most keys of
// most scans come by here.
var notHex = func() (t [256]uint8) {
	for c := range t {
		if strings.IndexByte("0123456789abcdefABCDEF", byte(c)) < 0 {
			t[c] = 1
		}
	}
	return t
}()

// md5ETag reports whether s has the form of an MD5 (plain) or of the MD5 of
// several parts' MD5s, "<32 hex digits>-<number of parts>".
func md5ETag(s string) (plain, ok bool) {
	if len(s) < md5Digits {
		return false, false
	}
	bad := uint8(0)
	for i := range md5Digits {
		bad |= notHex[s[i]]
	}
	if bad != 0 {
		return false, false
	}
	if len(s) == md5Digits {
		return true, true
	}
	if s[md5Digits] != '-' || len(s) == md5Digits+1 {
		return false, false
	}
	for i := md5Digits + 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false, false
		}
	}
	return false, true
}
