package s3

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// FuzzAnswerHeaders: what a store may write into a header is read or refused, and
// what is read makes sense.
func FuzzAnswerHeaders(f *testing.F) {
	f.Add("bytes 0-99/1234", "rosYhgqHmYg=", "d41d8cd98f00b204e9800998ecf8427e-12")
	f.Add("bytes 5-4/10", "====", `"`)
	f.Add("bytes */10", "AAAAAAAAAAA=", "-1")
	f.Fuzz(func(t *testing.T, span, sum, etag string) {
		if start, end, size, ok := contentRange(span); ok && (start < 0 || end < start || size <= end) {
			t.Errorf("contentRange(%q) = %d-%d/%d", span, start, end, size)
		}
		if c := decodeCRC64(sum); c.Set && encodeCRC64(c.Sum) != sum {
			t.Errorf("decodeCRC64(%q) = %x", sum, c.Sum)
		}
		if n := partsOf(etag); n < 0 {
			t.Errorf("partsOf(%q) = %d", etag, n)
		}
		if got := unquote(quote(etag)); got != etag {
			t.Errorf("unquote of quoted %q = %q", etag, got)
		}
	})
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	if start, end, size, ok := contentRange("bytes 0-99/1234"); !ok || start != 0 || end != 99 || size != 1234 {
		t.Errorf("%d-%d/%d %v", start, end, size, ok)
	}
	for _, v := range []string{"", "bytes 0-99", "bytes 0-99/*", "bytes */10", "bytes 5-4/10", "bytes 0-10/10", "0-1/2", "bytes -1-1/2"} {
		if _, _, _, ok := contentRange(v); ok {
			t.Errorf("%q is a range", v)
		}
	}
}

func TestChecksumHeader(t *testing.T) {
	t.Parallel()
	// The check value of CRC-64/NVME, as x-amz-checksum-crc64nvme has it.
	want := objstore.Checksum{Sum: 0xae8b14860a799888, Set: true}
	if got := decodeCRC64("rosUhgp5mIg="); got != want {
		t.Errorf("%x", got.Sum)
	}
	if got := encodeCRC64(want.Sum); got != "rosUhgp5mIg=" {
		t.Errorf("%s", got)
	}
	for _, v := range []string{"", "rosUhgp5mIg", "rosUhgp5mIg=-3", "!!!!!!!!!!!=", "AAAAAAAAAAAA"} {
		if got := decodeCRC64(v); got.Set {
			t.Errorf("%q is read as %x", v, got.Sum)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("Authorization: AWS4-HMAC-SHA256 Credential=a,Signature=abc SECRETKEY TOKEN")
	f.Add("Signature=Signature=Signature=")
	b := &Bucket{svc: &Service{keys: &keyring{}}}
	b.svc.keys.current.Store(&keys{access: "a", secret: "SECRETKEY", token: "TOKEN"})
	f.Fuzz(func(t *testing.T, s string) {
		got := b.redact(s)
		if strings.Contains(got, "SECRETKEY") || strings.Contains(got, "TOKEN") || len(got) > 510 {
			t.Errorf("redact(%q) = %q", s, got)
		}
		if got := b.redact(fmt.Sprintf("%.200q Signature=0123456789abcdef end", s)); strings.Contains(got, "0123456789abcdef") {
			t.Errorf("a signature stays in %q", got)
		}
	})
}
