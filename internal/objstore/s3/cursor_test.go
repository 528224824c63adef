package s3

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// pagesOf makes pages of "a b|c d": each but the last is truncated, with token.
func pagesOf(text string, marker bool) []listing {
	var pages []listing
	parts := strings.Split(text, "|")
	for i, part := range parts {
		l := listing{truncated: i < len(parts)-1, token: strings.Repeat("t", i+1)}
		for key := range strings.FieldsSeq(part) {
			l.objects = append(l.objects, objstore.Object{Key: key})
			if marker {
				l.marker = key
			}
		}
		pages = append(pages, l)
	}
	return pages
}

// The cursor's verdict on pages as stores may give them:
//
//	a repeated beginning      passed over: no start-after, or an inclusive marker
//	anything else backwards   ErrUnsorted
//	no progress               ErrInvalid
func TestCursor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		opt   objstore.ListOptions
		pages string
		v1    bool
		want  string
		err   error
	}{
		{"plain", objstore.ListOptions{}, "a b|c", false, "a b c", nil},
		{"V1", objstore.ListOptions{}, "a b|c", true, "a b c", nil},
		{"empty page", objstore.ListOptions{}, "a||b", false, "a b", nil},
		{"no start-after", objstore.ListOptions{After: "b"}, "a|b c|d", false, "c d", nil},
		{"repeated marker", objstore.ListOptions{}, "a b|b c", true, "a b c", nil},
		{"backwards in a page", objstore.ListOptions{}, "b a", false, "", objstore.ErrUnsorted},
		{"twice in a page", objstore.ListOptions{}, "a a", false, "", objstore.ErrUnsorted},
		{"backwards at a page", objstore.ListOptions{}, "a c|b d", false, "a c", objstore.ErrUnsorted},
		{"backwards behind After", objstore.ListOptions{After: "b"}, "c d|a", false, "c d", objstore.ErrUnsorted},
		{"repeated unsorted", objstore.ListOptions{After: "c"}, "b a d", false, "", objstore.ErrUnsorted},
		{"until", objstore.ListOptions{Until: "b"}, "a b c|d", false, "a b", nil},
		{"V1 stuck", objstore.ListOptions{}, "a|a|a", true, "a", objstore.ErrInvalid},
		{"V1 stuck and empty", objstore.ListOptions{}, "|a", true, "", objstore.ErrInvalid},
		{"outside the prefix", objstore.ListOptions{Prefix: "p"}, "p q", false, "", objstore.ErrInvalid},
	} {
		for _, marker := range []bool{false, true} {
			cur := cursor{opt: c.opt, last: c.opt.After}
			var got []string
			var err error
			for _, l := range pagesOf(c.pages, marker) {
				var objects []objstore.Object
				if objects, err = cur.take(&l, c.v1); err != nil || cur.done {
					got = append(got, namesOf(objects)...)
					break
				}
				got = append(got, namesOf(objects)...)
			}
			if !errors.Is(err, c.err) || c.err == nil && !cur.done || !slices.Equal(got, strings.Fields(c.want)) {
				t.Errorf("%s (marker %v): %q, %v, done %v", c.name, marker, got, err, cur.done)
			}
		}
	}
	stuck := cursor{token: "t"}
	if _, err := stuck.take(&listing{truncated: true, token: "t"}, false); !errors.Is(err, objstore.ErrInvalid) {
		t.Errorf("a repeated token = %v", err)
	}
}

func namesOf(objects []objstore.Object) (keys []string) {
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys
}
