package file

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

func fullAttrs() attrs {
	return attrs{
		header: objstore.Header{ContentType: "a", CacheControl: "b", ContentDisposition: "c", ContentEncoding: "d", ContentLanguage: "e", Expires: "f"},
		meta:   map[string]string{"name": "value", "": "empty name", "empty": "", "ü": "ß"},
		tags:   map[string]string{"tag": "value"},
		class:  "COLD",
		crc64:  objstore.Checksum{Sum: 0, Set: true},
		layout: layout{{3, 5 << 20}, {1, 17}},
		size:   15<<20 + 17, mtime: -5,
		key: "a/key", boot: "boot", elsewhere: true,
	}
}

func sameAttrs(a, b attrs) string {
	return cmp.Diff(a, b, cmp.Exporter(func(reflect.Type) bool { return true }))
}

func TestAttrsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range []attrs{{}, fullAttrs(), {crc64: objstore.Checksum{Sum: 1 << 63, Set: true}, size: 4, mtime: 1 << 60}} {
		got, err := parseAttrs(want.encode())
		if diff := sameAttrs(want, got); err != nil || diff != "" {
			t.Errorf("round trip: %v (-want +got):\n%s", err, diff)
		}
	}
	full := fullAttrs()
	p := full.encode()
	// A later version may add fields.
	got, err := parseAttrs(append(p, 200, 3, 'x', 'y', 'z'))
	if diff := sameAttrs(full, got); err != nil || diff != "" {
		t.Errorf("with an unknown field: %v (-want +got):\n%s", err, diff)
	}
	for i := 1; i < len(p); i++ {
		if a, err := parseAttrs(p[:i]); err == nil && sameAttrs(a, full) == "" {
			t.Errorf("%d of %d bytes read as the whole", i, len(p))
		}
	}
}

func FuzzParseAttrs(f *testing.F) {
	full := fullAttrs()
	f.Add(full.encode())
	f.Add([]byte{attrsVersion})
	f.Add([]byte{attrsVersion, fieldCRC64, 8, 1, 2, 3})
	f.Add([]byte{attrsVersion, fieldMeta, 3, 200, 'a', 'b'})
	f.Add([]byte{attrsVersion, fieldLayout, 4, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{attrsVersion, fieldTag, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		a, err := parseAttrs(p)
		if err != nil {
			return
		}
		var total int64
		for i := range a.layout.parts() {
			offset, size, ok := a.layout.part(i + 1)
			if !ok || size < 0 || offset != total {
				t.Fatalf("part %d is at %d of %d bytes, %v; before it are %d", i+1, offset, size, ok, total)
			}
			total += size
		}
		if !a.crc64.Set && len(a.layout) == 0 {
			a.size, a.mtime = 0, 0 // not written without what they qualify
		}
		again, err := parseAttrs(a.encode())
		if diff := sameAttrs(a, again); err != nil || diff != "" {
			t.Fatalf("round trip: %v (-first +again):\n%s", err, diff)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	p := storedPart{Part: objstore.Part{Number: 7, Size: 5 << 20, CRC64: objstore.Checksum{Sum: 9, Set: true}}, serial: 1234, shared: true}
	f.Add(p.recordName())
	f.Add("p1.0.-.0.r")
	f.Add("p1.-5.-.0.s")
	f.Add("p99999.1.-.0.s")
	f.Add("p1.1.-.0.s.s")
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := parseRecord(name)
		if ok && (p.recordName() != name || p.Number < 1 || p.Number > maxParts || p.Size < 0 || p.offset() < 0) {
			t.Fatalf("%q is read as %+v", name, p)
		}
	})
}
