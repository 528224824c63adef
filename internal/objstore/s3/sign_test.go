package s3

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/signer"
)

// authorize signs a request with our signer.
func authorize(t testing.TB, now time.Time, k *keys, region, method, host, base, key, query string, fields []field, payload string) string {
	t.Helper()
	p := &place{host: host, base: base, region: region}
	m := p.at(now, k)
	target := string(appendPath([]byte(base), key))
	cut := len(target)
	if query != "" {
		target += "?" + query
	}
	fields = append(slices.Clone(fields), field{"host", host}, field{"x-amz-content-sha256", payload}, field{"x-amz-date", m.stamp})
	if k.token != "" {
		fields = append(fields, field{"x-amz-security-token", k.token})
	}
	sortFields(fields)
	return string(m.authorization(nil, method, target, cut, fields, payload))
}

// minioAuthorize signs the same request with minio-go, and returns when it did.
func minioAuthorize(t testing.TB, k *keys, region, method, host, base, key, query string, fields []field, payload string) (string, time.Time) {
	t.Helper()
	u := &url.URL{Scheme: "http", Host: host, Path: base + key, RawQuery: query}
	req := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	for _, f := range fields {
		if signed(f.name) {
			req.Header.Set(f.name, f.value)
		}
	}
	out := signer.SignV4(*req, k.access, k.secret, k.token, region)
	at, err := time.Parse("20060102T150405Z", out.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.Header.Get("Authorization"), ", ", ","), at
}

// FuzzSign compares signatures with minio-go's signer, which is another reading of
// the same specification.
func FuzzSign(f *testing.F) {
	f.Add("GET", "photos/a+b c%20ü.jpg", "a/b", "", "text/plain", "value", "token")
	f.Add("PUT", "//x/../y", "", "=&?", "", "  two  spaces ", "")
	f.Add("HEAD", "\x01~!*'()", "ü", "+", "a;b", "", "")
	f.Fuzz(func(t *testing.T, method, key, name, value, ctype, meta, token string) {
		ascii := func(s string) bool {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
		}
		// minio-go refuses such keys, and its query goes through a map.
		if !utf8.ValidString(key) || key == "" || !utf8.ValidString(name) || !utf8.ValidString(value) || name == "" ||
			strings.ContainsAny(method, "\n ") || !ascii(ctype) || !ascii(meta) || !ascii(token) {
			t.Skip()
		}
		k := &keys{access: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token: token}
		query := string(appendQuery(append(appendQuery(nil, name), '='), value))
		fields := []field{{"x-amz-meta-note", meta}, {"Range", "bytes=0-1"}}
		if ctype != "" {
			fields = append(fields, field{"content-type", ctype})
		}
		want, at := minioAuthorize(t, k, "eu-west-1", method, "store.example:9000", "/bucket/", key, query, fields, unsignedPayload)
		got := authorize(t, at, k, "eu-west-1", method, "store.example:9000", "/bucket/", key, query, fields, unsignedPayload)
		if got != want {
			t.Errorf("%s %q ?%s:\n got %s\nwant %s", method, key, query, got, want)
		}
	})
}

// The example of the S3 API reference, "GET Object".
func TestSignExample(t *testing.T) {
	t.Parallel()
	k := &keys{access: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	got := authorize(t, at, k, "us-east-1", "GET", "examplebucket.s3.amazonaws.com", "/", "", "lifecycle=", nil, emptyPayload)
	if want := "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMomentIsKeptAndRenewed(t *testing.T) {
	t.Parallel()
	p := &place{region: "r1"}
	k := &keys{access: "a", secret: "s"}
	at := time.Date(2026, 2, 28, 23, 59, 59, 999, time.UTC)
	first := p.at(at, k)
	if p.at(at.Add(500), k) != first {
		t.Error("a moment ends within its second")
	}
	next := p.at(at.Add(time.Second), k)
	if next.stamp != "20260301T000000Z" || !strings.HasPrefix(next.scope, "20260301/r1/") || next.hmac == first.hmac {
		t.Errorf("after midnight: %s %s", next.stamp, next.scope)
	}
	later := p.at(at.Add(2*time.Second), k)
	if later.hmac != next.hmac || later.stamp != "20260301T000001Z" {
		t.Error("the day's key is not kept")
	}
	if p.at(at.Add(2*time.Second), &keys{access: "a", secret: "other"}).hmac == later.hmac {
		t.Error("other keys sign with the old ones")
	}
}

func TestPaddedIsHMAC(t *testing.T) {
	t.Parallel()
	for n := range 64 {
		key := bytes.Repeat([]byte{byte(n)}, n)
		want := hmac.New(sha256.New, key)
		want.Write([]byte("message"))
		p := pad(key)
		inner := sha256.Sum256(append(p.inner[:], "message"...))
		if got := sha256.Sum256(append(p.outer[:], inner[:]...)); !bytes.Equal(got[:], want.Sum(nil)) {
			t.Fatalf("key of %d bytes: %x", n, got)
		}
	}
}

func TestAppendTrimmed(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"": "", "plain": "plain", " both ": "both", "a  b": "a b", "\ta\t b ": "a b", "   ": "", "ü  ü": "ü ü",
	} {
		if got := string(appendTrimmed([]byte("x:"), v)); got != "x:"+want {
			t.Errorf("appendTrimmed(%q) = %q", v, got)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	p := &place{host: "store.example:9000", region: "us-east-1"}
	k := &keys{access: "AKIDEXAMPLE", secret: "secret"}
	now := time.Now()
	target := "/bucket/p42/obj-000042.bin"
	var room [8]field
	var buf [2 * kib]byte
	b.ReportAllocs()
	for b.Loop() {
		m := p.at(now, k)
		fields := append(room[:0], field{"host", p.host}, field{"x-amz-content-sha256", unsignedPayload}, field{"x-amz-date", m.stamp})
		sortFields(fields)
		m.authorization(buf[:0], "GET", target, len(target), fields, unsignedPayload)
	}
}
