package objstoretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// attributeTests check what stands beside the bytes of an object.
var attributeTests = []check{
	{"Encryption", testEncryption},
	{"Restore", testRestore},
	{"Attributes", testAttributes},
	{"MetaLimit", testMetaLimit},
	{"Tags", testTags},
}

// attributed returns options with everything that can stand beside the bytes.
func attributed() objstore.PutOptions {
	return objstore.PutOptions{
		Header: objstore.Header{
			ContentType:        "text/plain; charset=utf-8",
			CacheControl:       "max-age=60, must-revalidate",
			ContentDisposition: `attachment; filename="a b+c.txt"`,
			ContentEncoding:    "gzip", // which the body is not: nobody may look into it
			ContentLanguage:    "de, fr-CH",
			Expires:            "Wed, 21 Oct 2065 07:28:00 GMT",
		},
		Meta: map[string]string{"plain": "a=b; c, d+e %41 \"q\"", "name": "naïve Ünïcode ☃ 日本 🦊", "with-dash.and_more": "x"},
		Tags: map[string]string{"team": "red", "path+key": "a=b c/d:e@f", "empty": ""},
	}
}

// headers are the header fields by name; the name is what Dropped says.
func headers(h objstore.Header) map[string]string {
	return map[string]string{
		"Content-Type": h.ContentType, "Cache-Control": h.CacheControl, "Content-Disposition": h.ContentDisposition,
		"Content-Encoding": h.ContentEncoding, "Content-Language": h.ContentLanguage, "Expires": h.Expires,
	}
}

// carries checks that key has what opt asked for, except what the store said it
// dropped, and that it has it if it did not say so.
func carries(t *testing.T, b subject, key string, opt objstore.PutOptions, dropped []string) {
	t.Helper()
	info := stat(t, b, key)
	got := headers(info.Header)
	for name, want := range headers(opt.Header) {
		switch lost := slices.Contains(dropped, name); {
		case want == "" || got[name] != want && (lost || slices.Contains(b.defects.Loses, name)):
		case lost:
			t.Errorf("%q keeps %s although it is named in %q", key, name, dropped)
		case got[name] != want:
			t.Errorf("%q has %s %q, want %q, and Dropped is %q", key, name, got[name], want, dropped)
		}
	}
	wantMeta := maps.Clone(opt.Meta)
	maps.DeleteFunc(wantMeta, func(name, _ string) bool { return slices.Contains(dropped, "meta:"+name) })
	if diff := cmp.Diff(wantMeta, info.Meta, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("metadata of %q, Dropped is %q (-want +got):\n%s", key, dropped, diff)
	}
	carriesTags(t, b, key, opt.Tags, slices.Contains(dropped, "tags"))
}

func carriesTags(t *testing.T, b objstore.Bucket, key string, want map[string]string, dropped bool) {
	t.Helper()
	if !b.Capabilities().Tags {
		if len(want) > 0 && !dropped {
			t.Errorf("%q: the store has no tags, and Dropped does not say so", key)
		}
		return
	}
	if dropped {
		want = nil
	}
	got, err := b.Tags(t.Context(), key)
	if err != nil || got == nil {
		t.Fatalf("Tags(%q) = %v, %v", key, got, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("tags of %q (-want +got):\n%s", key, diff)
	}
	if n := stat(t, b, key).TagCount; n != -1 && n != len(want) {
		t.Errorf("TagCount of %q is %d, want %d or -1", key, n, len(want))
	}
}

func testAttributes(t *testing.T, b subject, dir string) {
	opt := attributed()
	key := dir + "object"
	w := put(t, b, key, []byte("body"), opt)
	carries(t, b, key, opt, w.Dropped)
	holds(t, b, key, []byte("body"))
	if slices.Contains(w.Dropped, "meta:plain") && b.Capabilities().Meta {
		t.Errorf("Capabilities.Meta is claimed and %q dropped", w.Dropped)
	}
	c, err := b.Open(t.Context(), key, objstore.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, c)
	info := stat(t, b, key)
	if diff := cmp.Diff(info.Header, c.Header); diff != "" {
		t.Errorf("headers (-stat +open):\n%s", diff)
	}
	if diff := cmp.Diff(info.Meta, c.Meta, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("metadata (-stat +open):\n%s", diff)
	}
	// Names of metadata have no case.
	upper := objstore.PutOptions{Meta: map[string]string{"Mixed-Case": "v"}}
	w = put(t, b, dir+"case", []byte("body"), upper)
	if got := stat(t, b, dir+"case").Meta; len(w.Dropped) == 0 && got["mixed-case"] != "v" {
		t.Errorf("metadata Mixed-Case is read as %v", got)
	}
	// The object is not tied to the caller's maps.
	opt.Meta["plain"], opt.Tags["team"] = "spoiled", "spoiled"
	if got := stat(t, b, key).Meta["plain"]; got == "spoiled" {
		t.Error("metadata is shared with the caller")
	}
	for i := range 2 { // every single header on its own
		single := objstore.PutOptions{Header: []objstore.Header{{Expires: "0"}, {ContentLanguage: "en"}}[i]}
		w := put(t, b, fmt.Sprint(dir, "single", i), []byte("x"), single)
		carries(t, b, fmt.Sprint(dir, "single", i), single, w.Dropped)
	}
}

func testMetaLimit(t *testing.T, b subject, dir string) {
	caps := b.Capabilities()
	if !caps.Meta || caps.MaxMeta == 0 || caps.MaxMeta > 64<<10 {
		t.Skip("no metadata, or no limit known")
	}
	opt := objstore.PutOptions{Meta: map[string]string{"name": strings.Repeat("v", caps.MaxMeta-len("name"))}}
	w := put(t, b, dir+"full", []byte("x"), opt)
	carries(t, b, dir+"full", opt, w.Dropped)
	if len(w.Dropped) > 0 {
		t.Errorf("MaxMeta is %d, and %q is dropped", caps.MaxMeta, w.Dropped)
	}
}

func testTags(t *testing.T, b subject, dir string) {
	key := dir + "object"
	put(t, b, key, []byte("body"), objstore.PutOptions{Meta: map[string]string{"stays": "1"}})
	if !b.Capabilities().Tags {
		wantErr(t, b.SetTags(t.Context(), key, map[string]string{"a": "b"}), objstore.ErrUnsupported, "SetTags")
		return
	}
	for _, tags := range []map[string]string{{}, attributed().Tags, {"only": "this"}, {}} {
		if err := b.SetTags(t.Context(), key, tags); err != nil {
			t.Fatalf("SetTags(%v) = %v", tags, err)
		}
		carriesTags(t, b, key, tags, false)
	}
	// Not every store takes letters beyond ASCII, but none may spoil them.
	foreign := map[string]string{"größe": "groß, 日本"}
	switch err := b.SetTags(t.Context(), key, foreign); {
	case err == nil:
		carriesTags(t, b, key, foreign, false)
	case errors.Is(err, objstore.ErrInvalid):
		carriesTags(t, b, key, nil, false)
	default:
		t.Errorf("SetTags(%v) = %v, want nil or ErrInvalid", foreign, err)
	}
	holds(t, b, key, []byte("body"))
	if b.Capabilities().Meta && stat(t, b, key).Meta["stays"] != "1" {
		t.Error("setting tags loses metadata")
	}
}
