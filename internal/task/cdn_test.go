package task

import (
	"strings"
	"testing"
)

func TestCDNDomains(t *testing.T) {
	t.Parallel()
	for domain, want := range map[string]string{
		"cdn.example.com": "https://cdn.example.com", "CDN.example.com:8443": "https://cdn.example.com:8443",
		"10.0.0.1": "https://10.0.0.1", "[::1]:80": "https://[::1]:80", "[::1]": "https://[::1]", "a_b": "https://a_b",
		"": "", "a/b": "", "a?b": "", "a#b": "", "u@a": "", "u:p@a": "", "http://a": "", "a:": "", "a:0": "", "a:70000": "", "a:b": "",
		"a b": "", "a\n": "", "::1": "", "[::1%25lo]": "", "[a]": "", "ä": "", "%61": "", strings.Repeat("a", 256): "",
	} {
		got := ""
		if u := (CDN{Protocol: "https", Domain: domain}).URL(); u != nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", domain, got, want)
		}
	}
	for _, p := range []string{"", "ftp", "HTTP"} {
		if (CDN{Protocol: p, Domain: "a"}).URL() != nil {
			t.Errorf("protocol %q", p)
		}
	}
}

func FuzzCDNDomain(f *testing.F) {
	for _, s := range []string{"cdn.example.com", "a:1", "[::1]:2", "u@h", "a/../b", "\x00", "a%2fb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u := CDN{Protocol: "http", Domain: s}.URL()
		if u == nil {
			return
		}
		if u.User != nil || u.Path != "" || u.RawQuery != "" || !strings.EqualFold(u.Host, s) || strings.ContainsAny(u.Hostname(), "/@?# ") {
			t.Fatalf("%q is %q", s, u)
		}
	})
}
