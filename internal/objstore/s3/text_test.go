package s3

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzEscape: what is escaped reads back as the same bytes, with net/url and with
// the decoder of listings.
func FuzzEscape(f *testing.F) {
	f.Add("a/b+c d%20e\xff\x00ü")
	f.Add("~-._ABC")
	f.Fuzz(func(t *testing.T, s string) {
		path, query := string(appendPath(nil, s)), queryEscape(s)
		if got, err := url.PathUnescape(path); err != nil || got != s {
			t.Errorf("path %q reads back as %q, %v", s, got, err)
		}
		if got, err := url.QueryUnescape(query); err != nil || got != s {
			t.Errorf("query %q reads back as %q, %v", s, got, err)
		}
		if got, ok := unescape([]byte(query)); !ok || string(got) != s {
			t.Errorf("listing %q reads back as %q, %v", s, got, ok)
		}
		if got, ok := unescape([]byte(url.QueryEscape(s))); !ok || string(got) != s {
			t.Errorf("form encoding of %q reads back as %q, %v", s, got, ok)
		}
		want, err := url.QueryUnescape(s)
		if got, ok := unescape([]byte(s)); ok != (err == nil) || ok && string(got) != want {
			t.Errorf("unescape(%q) = %q, %v; net/url %q, %v", s, got, ok, want, err)
		}
		if i := strings.IndexFunc(query, func(r rune) bool { return r > '~' || r != '%' && !unreserved[byte(r)] }); i >= 0 {
			t.Errorf("query %q keeps %q", query, query[i:])
		}
	})
}

// FuzzMeta: the value of user metadata comes back as it was, over both encodings,
// and crosses HTTP and a signature's canonical form unharmed.
func FuzzMeta(f *testing.F) {
	for _, s := range []string{"plain", "größer", "日本語", "=?utf-8?q?x?=", " lead", "trail ", "a  b", "new\nline", "nbsp\u00a0x", "", "nel\u0085x", strings.Repeat("ü", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if !utf8.ValidString(v) {
			t.Skip()
		}
		for _, rfc2047 := range []bool{false, true} {
			wire := encodeMeta(v, rfc2047)
			if got := decodeMeta(wire); got != v {
				t.Errorf("%q over %q comes back as %q", v, wire, got)
			}
			if !fitsHeader(wire) {
				t.Errorf("%q goes out as %q, which is no header", v, wire)
			}
			if strings.ContainsFunc(wire, func(r rune) bool { return r >= utf8.RuneSelf && (rfc2047 || unicode.IsSpace(r)) }) {
				t.Errorf("%q goes out as %q", v, wire)
			}
		}
	})
}

func TestDecodeMetaOfOthers(t *testing.T) {
	t.Parallel()
	for wire, want := range map[string]string{
		"gr\xf6\xdfer":                          "größer", // Latin-1
		"=?UTF-8?Q?gr=C3=B6=C3=9Fer?=":          "größer",
		"=?UTF-8?B?Z3LDtsOf?= =?UTF-8?B?ZXI=?=": "größer",
		"=?x-unknown?Q?a?=":                     "=?x-unknown?Q?a?=",
		"a =? b":                                "a =? b",
	} {
		if got := decodeMeta(wire); got != want {
			t.Errorf("decodeMeta(%q) = %q, want %q", wire, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	plain, raw, files := &traits{urlEncoding: true}, &traits{urlEncoding: true}, &traits{urlEncoding: true, pathKeys: true, reserved: ".own/"}
	raw.NonUTF8Keys = true
	v1 := &traits{}
	v1.MaxKey = 1024
	for _, c := range []struct {
		traits *traits
		key    string
		ok     bool
	}{
		{plain, "a", true},
		{plain, "", false},
		{plain, "\x01", true},
		{plain, "\xff", false},
		{raw, "\xff", true},
		{plain, "ü", true},
		{v1, "\x01", false},
		{v1, "tab\t", true},
		{v1, "\ufffe", false},
		{v1, strings.Repeat("k", 1024), true},
		{v1, strings.Repeat("k", 1025), false},
		{files, "a/b/c", true},
		{files, "a/b/", true},
		{files, "/a", false},
		{files, "a//b", false},
		{files, "a//", false},
		{files, "/", false},
		{files, ".", false},
		{files, "..", false},
		{files, "a/../b", false},
		{files, "a/.", false},
		{files, "...", true},
		{files, ".own/x", false},
		{files, "nul\x00", false},
		{files, strings.Repeat("s", 256), false},
		{files, strings.Repeat("s", 255) + "/x", true},
	} {
		if err := c.traits.checkKey("put", c.key); (err == nil) != c.ok {
			t.Errorf("checkKey(%q) = %v, want ok %v", c.key, err, c.ok)
		}
	}
}
