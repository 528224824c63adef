package objstoretest

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Keys returns the corpus of keys that tend to be cleaned, decoded, folded or
// joined by mistake. All are UTF-8 of at most 1,024 bytes; RawKeys has the rest.
// A store may refuse some of them with ErrKey, e.g. "a/b" beside "a" in a directory.
func Keys() []string {
	return []string{
		// Encodings of URLs, forms and XML.
		"plus+plus", "plus plus", "plus%2Bplus", "plus%20plus", "plus%252Bplus",
		"percent%", "percent%zz", "%", "100%/half", "encoded%2Fslash", "encoded/slash", "é%C3%A9",
		" leading", "trailing ", "in  between", " ",
		"query?uploads", "query?a=b&c=d", "fragment#part", "semi;colon", "equals=x", "colon:x", "at@x",
		"<tag>", "a&amp;b", "a&b", `"double"`, "'single'", "`back`", "]]>", "&#10;",
		"~tilde", "!*'()", "$@,;:=+", "[brackets]{braces}|pipe^caret", `back\slash`, `..\up`, "-dash", "_under",
		"punctuation !\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~",
		// Path syntax.
		"/leading", "//two/leading", "a//b", "a///b", "trailing/", "trailing//", "/", "//",
		".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "...", ".hidden", "dir/.hidden", "dot.", "..dots", "C:/x", "con", "nul.txt",
		// Names a store or a driver may use itself.
		".lockstep", ".tmp", "tmp", "file.part", "file.tmp", "metadata.json", "sidecar.meta", ".sgwtmp/x", ".minio.sys/x", "xl.meta",
		// An object beside objects "below" it, and its neighbours in byte order.
		"beside", "beside/child", "beside.txt", "beside0", "beside!", "below/child", "below", "below/child/grandchild",
		// Case and normalization: each of a pair is a key of its own.
		"Case", "case", "CASE/x", "nfc-\u00e9", "nfd-e\u0301", "\u212b", "\u00c5", "A\u030a", "\u1e9e", "ss", "İ", "i̇",
		// Scripts, and bytes that sort differently as UTF-16.
		"日本語/キー", "emoji-🦊", "family-👩‍👩‍👧", "\uffee", "\U00010000", "עברית", "\u202eright-to-left", "zero\u200bwidth", "\ufeffbom", "\u2028line", "\u00a0nbsp", "\u0085nel",
		// Controls.
		"tab\tx", "newline\nx", "return\rx", "crlf\r\nx", "\x01", "bell\x07", "escape\x1b[0m", "delete\x7f", "c1\u0080", "nul\x00x", "\ufffe", "\ufffd",
		// Lengths: one segment of 255 and of 256 bytes; 1,024 bytes as short segments, and as one.
		strings.Repeat("s", 255), strings.Repeat("S", 256), "é" + strings.Repeat("t", 254) + "/x",
		strings.Repeat("0123456789abcde/", 63) + "0123456789abcdef", strings.Repeat("l", 1024), strings.Repeat("日", 341) + "x",
		strings.Repeat("d/", 500) + "deep",
		// Text that programs take for something else.
		"null", "undefined", "None", "true", "0", "-1", "1e3", "=1+1", "$(touch x)", "{{.}}", "%s%n", "a,b", "a|b", "index.html", "favicon.ico",
	}
}

// RawKeys returns keys that are not UTF-8.
func RawKeys() []string {
	return []string{
		"latin1-\xe9", "\x80", "\xff\xfe", "cut-\xe6\x97", "overlong-\xc0\xaf", "surrogate-\xed\xa0\x80", "mid\xffdle/x", "\xffa", "\xff%FF",
	}
}

// ordinary reports whether every store must hold key, whatever it is made of:
// printable UTF-8 in segments of 1 to 255 bytes, none of which means a directory.
func ordinary(key string) bool {
	if !utf8.ValidString(key) || len(key) > 1024 || strings.ContainsFunc(key, odd) {
		return false
	}
	segments := strings.Split(key, "/")
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || len(s) > 255 {
			return false
		}
	}
	return len(segments) < 100 && !reserved(key)
}

func odd(r rune) bool {
	return r < ' ' || r == 0x7f || r == '\\' || r >= 0x80 && r < 0xa0 || r == '\ufffe' || r == '\u2028'
}

// reserved reports whether a known server keeps such names for itself, or
// whether the corpus has an object above or below key.
func reserved(key string) bool {
	first, _, _ := strings.Cut(key, "/")
	return slices.Contains([]string{".sgwtmp", ".minio.sys", ".lockstep", "beside", "below"}, first)
}
