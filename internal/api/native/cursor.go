package native

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// A cursor is the place of the last item of a page, opaque to clients: the kind of page
// and the item's id, so that one of another page is refused. It gives no right to
// anything, so it is not signed.
func encodeCursor(page, last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(page + "\x00" + last))
}

var errCursor = &task.Error{Kind: task.Invalid, Code: "BAD_CURSOR", Text: "the cursor is none of this page", Next: "begin without one"}

func decodeCursor(page, cursor string) (last string, err error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", errCursor
	}
	last, ok := strings.CutPrefix(string(raw), page+"\x00")
	if !ok || last == "" {
		return "", errCursor
	}
	return last, nil
}

func encodeNumCursor(page string, last int64) string {
	return encodeCursor(page, strconv.FormatInt(last, 10))
}

func decodeNumCursor(page, cursor string) (int64, error) {
	last, err := decodeCursor(page, cursor)
	if err != nil || last == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(last, 10, 64)
	if err != nil || n < 1 {
		return 0, errCursor
	}
	return n, nil
}

// Paging is what every list takes.
type Paging struct {
	Cursor string `query:"cursor" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Most items of the page"`
}

// Page is what every list answers.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; none when this is the last"`
}

// pageOf renders items, of which one more than limit was asked for to see whether more
// follow.
func pageOf[S, T any](items []S, limit int, render func(S) T, cursor func(S) string) Page[T] {
	p := Page[T]{Items: make([]T, 0, min(len(items), limit))}
	if len(items) > limit {
		items = items[:limit]
		p.Next = cursor(items[limit-1])
	}
	for _, item := range items {
		p.Items = append(p.Items, render(item))
	}
	return p
}
