package bare

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScan(t *testing.T) {
	t.Parallel()
	page := `<ListBucketResult><Prefix>a&amp;b</Prefix>` +
		`<Contents><Key>a&amp;b/&lt;1&gt;</Key><ETag>&quot;0123&quot;</ETag><Size>4096</Size></Contents>` +
		`<Contents><Size>0</Size><ETag>"89-2"</ETag><Key>z</Key></Contents>` +
		`</ListBucketResult>`
	want := []Object{
		{Key: "a&b/<1>", ETag: "0123", Size: 4096},
		{Key: "z", ETag: "89-2"},
	}
	if diff := cmp.Diff(want, scan([]byte(page), nil)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// A page that is cut or garbled may lose entries, never more than that.
func FuzzScan(f *testing.F) {
	f.Add([]byte(`<Contents><Key>a</Key><ETag>&quot;0&quot;</ETag><Size>1</Size></Contents>`))
	f.Add([]byte(`</Contents><Contents><Key>a</Contents><Contents>`))
	f.Add([]byte(`<Contents><Contents></Contents><Size>-</Size></Contents>`))
	f.Fuzz(func(t *testing.T, page []byte) {
		const least = len("<Contents></Contents>")
		if got := scan(page, nil); len(got) > len(page)/least {
			t.Errorf("%d objects in %d bytes", len(got), len(page))
		}
	})
}
