package plan

import (
	"fmt"
	"sort"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Pages returns the next page of a sorted listing, which may be empty; ok is
// false after the last one. An error ends the listing unfinished. (The end is no
// error such as io.EOF: a connection's must never pass for it.)
type Pages func() (page []objstore.Object, ok bool, err error)

// MergeOptions bounds a merge.
type MergeOptions struct {
	// After and Until say that the listings hold the keys (After, Until]; an empty
	// Until is the end. Keys past Until are dropped, keys up to After are an error.
	After, Until string
	// StopWithSource ends the merge where the source ends: destination keys past
	// its last one are neither read nor returned.
	StopWithSource bool
}

// Merge walks two sorted listings side by side and returns every key once, in
// ascending byte order. It holds one page of each and allocates nothing per key.
type Merge struct {
	src, dst cursor
	stop     bool
	err      error
}

// NewMerge begins a merge; it reads nothing yet.
func NewMerge(src, dst Pages, opt MergeOptions) *Merge {
	return &Merge{
		src:  cursor{source: true, next: src, last: opt.After, until: opt.Until},
		dst:  cursor{next: dst, last: opt.After, until: opt.Until},
		stop: opt.StopWithSource,
	}
}

// Next returns the objects of the next key; nil is a side that does not have it.
// They are valid until the next call. ok is false at the end and on an error,
// which Err tells apart.
func (m *Merge) Next() (src, dst *objstore.Object, ok bool) {
	if m.err != nil {
		return nil, nil, false
	}
	if m.src.i == len(m.src.page) || m.dst.i == len(m.dst.page) {
		if m.err = m.fill(); m.err != nil || m.stop && m.src.drained() {
			return nil, nil, false
		}
	}
	src, dst = m.src.head(), m.dst.head()
	if src != nil && dst != nil {
		switch c := strings.Compare(src.Key, dst.Key); {
		case c < 0:
			dst = nil
		case c > 0:
			src = nil
		}
	}
	if src != nil {
		m.src.i++
	}
	if dst != nil {
		m.dst.i++
	}
	return src, dst, src != nil || dst != nil
}

func (m *Merge) fill() error {
	if err := m.src.fill(); err != nil || m.stop && m.src.drained() {
		return err
	}
	return m.dst.fill()
}

// Err returns what ended the merge early: a *ListingError, or nil.
func (m *Merge) Err() error { return m.err }

// SourcePageDone reports whether the source's page is used up although its
// listing may go on, so that the next key has to wait for a page.
func (m *Merge) SourcePageDone() bool { return m.src.i == len(m.src.page) && !m.src.ended }

// Limit lowers Until. Keys past it, read or not, are no longer returned.
func (m *Merge) Limit(until string) {
	m.src.limit(until)
	m.dst.limit(until)
}

// cursor is a place in one listing.
type cursor struct {
	source bool
	next   Pages
	page   []objstore.Object
	i      int
	last   string // the greatest key seen
	until  string
	ended  bool
}

func (c *cursor) head() *objstore.Object {
	if c.i == len(c.page) {
		return nil
	}
	return &c.page[c.i]
}

func (c *cursor) drained() bool { return c.ended && c.i == len(c.page) }

// fill reads pages until there is an object or the end.
func (c *cursor) fill() error {
	for c.i == len(c.page) && !c.ended {
		page, ok, err := c.next()
		if err != nil {
			return &ListingError{AtSource: c.source, Err: err}
		}
		if !ok {
			c.ended = true
			return nil
		}
		for i := range page {
			if page[i].Key <= c.last {
				return &ListingError{AtSource: c.source, Err: errUnsorted(c.last, page[i].Key)}
			}
			c.last = page[i].Key
		}
		c.page, c.i = page, 0
		c.cut()
	}
	return nil
}

func (c *cursor) limit(until string) {
	c.until = until
	c.cut()
}

// cut drops what lies past until, and ends a listing that has come that far.
func (c *cursor) cut() {
	if c.until == "" || len(c.page) == 0 || c.page[len(c.page)-1].Key < c.until {
		return
	}
	n := c.i + sort.Search(len(c.page)-c.i, func(i int) bool { return c.page[c.i+i].Key > c.until })
	c.page, c.ended = c.page[:n], true
}

// ListingError says which side's listing failed. Nothing may be concluded for
// the keys it did not reach.
type ListingError struct {
	AtSource bool
	Err      error
}

func (e *ListingError) Error() string {
	if e.AtSource {
		return "list source: " + e.Err.Error()
	}
	return "list destination: " + e.Err.Error()
}

func (e *ListingError) Unwrap() error { return e.Err }

func errUnsorted(last, key string) error {
	return &task.Error{
		Kind: task.Conflict, Code: "LISTING_UNSORTED",
		Text: fmt.Sprintf("the listing goes backwards: %q after %q", key, last),
		Next: "the store must list keys in ascending byte order (S3 directory buckets do not); nothing was concluded past that key",
		Err:  objstore.ErrUnsorted,
	}
}
