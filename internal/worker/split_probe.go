package worker

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

const (
	maxProbes = 12 // requests of one search
	maxClimb  = 4  // of them, to climb before halving
)

// findSplit looks for an existing key that splits what remains of a partition,
// (pos.After, pos.Until], somewhere near its middle, without knowing how keys are
// made. It returns "" when a few listings of one object find none, when one fails,
// or when distant is set (the store's pages waited for minWait) and the first
// answer comes so fast that it was not the distance that made pages slow.
//
// Keys are looked at as characters, so that no request names a key that is not
// UTF-8 unless the store itself has such keys.
func findSplit(ctx context.Context, b objstore.Bucket, prefix string, pos Position, distant bool) string {
	s := search{bucket: b, opt: objstore.ListOptions{Prefix: prefix, Until: pos.Until, PageSize: 1}, left: maxProbes}
	if distant {
		s.minWait = minWait
	}
	return s.between(ctx, pos.After, sharedLength(pos.After, pos.First))
}

// search is a search under way.
type search struct {
	bucket  objstore.Bucket
	opt     objstore.ListOptions // Until sinks as the search learns where keys end
	minWait time.Duration
	left    int // probes
}

// first returns the first key past after and before Until, "" when there is
// none. A search that has failed has no probes left.
func (s *search) first(ctx context.Context, after string) string {
	s.left--
	s.opt.After = after
	for page, err := range s.bucket.List(ctx, s.opt) {
		if err != nil || page.Wait < s.minWait {
			s.left = 0
			return ""
		}
		s.minWait = 0 // the first probe has shown the distance
		if len(page.Objects) == 0 {
			continue
		}
		if key := page.Objects[0].Key; key > after && (s.opt.Until == "" || key < s.opt.Until) {
			return strings.Clone(key)
		}
		break
	}
	return ""
}

// between returns a key between from and Until, "" when it finds none. Keys
// before from share its first shared bytes.
func (s *search) between(ctx context.Context, from string, shared int) string {
	for s.left > 0 {
		next, depth := s.fork(ctx, from, shared)
		if next == "" {
			return ""
		}
		key, alone := s.bisect(ctx, from, next, depth)
		// Where keys go on as from does or as next does, and no third way, next is the
		// place to split; unless it is the last key of all.
		if !alone || s.left <= 0 || s.first(ctx, next) != "" {
			return key
		}
		s.opt.Until, shared = next, depth+1
	}
	return ""
}

// fork finds where the keys left part: all of them share from[:depth], and next
// is the first that goes on differently. "There is a key past all that share
// from[:i]" holds for every i past depth and for none up to it. Each answer says
// how much of from it shares, so the search climbs from branch to branch; only
// where that takes long it halves the rest. The first guess is i.
func (s *search) fork(ctx context.Context, from string, i int) (next string, depth int) {
	low, high := 0, len(from)+1
	if s.opt.Until != "" {
		low = sharedLength(from, s.opt.Until)
	}
	for steps := 0; low+1 < high && s.left > 0; steps++ {
		if steps >= maxClimb || i <= low || i >= high {
			i = (low + high) / 2
		}
		for i < len(from) && !utf8.RuneStart(from[i]) {
			i++
		}
		key := ""
		if after := beyond(from[:i]); after != "" {
			key = s.first(ctx, after)
		}
		if key == "" {
			low, i = i, i+1
			continue
		}
		next, high = key, sharedLength(from, key)+1
		i = high - 1
	}
	return next, high - 1
}

// bisect looks at the character at depth, where next is the first key to differ
// from from: it narrows down the greatest one there is until a key is known whose
// character is somewhere in the middle. alone says that next's is the only one.
func (s *search) bisect(ctx context.Context, from, next string, depth int) (key string, alone bool) {
	f := newFan(from, next, s.opt.Until, depth)
	for s.left > 0 && f.high-f.top > 1 {
		if key := f.balanced(); key != "" {
			return key, false
		}
		c := f.ask()
		f.learn(c, s.first(ctx, f.guess(c)))
	}
	if len(f.branches) == 1 {
		return next, true
	}
	if middle := (f.low + f.top) / 2; s.left > 0 {
		f.learn(middle, s.first(ctx, f.guess(middle)))
	}
	return f.nearest(), false
}

// beyond returns a string that is greater than every key beginning with prefix,
// and hardly greater than that; "" when there is none.
func beyond(prefix string) string {
	for prefix != "" {
		c, size := utf8.DecodeLastRuneInString(prefix)
		head := prefix[:len(prefix)-size]
		switch {
		case c == utf8.RuneError && size == 1 && prefix[len(head)] < 0xff:
			return head + string([]byte{prefix[len(head)] + 1})
		case c != utf8.MaxRune && (c != utf8.RuneError || size > 1):
			return head + string(c+1)
		}
		prefix = head
	}
	return ""
}

// sharedLength returns how many bytes a and b share at their beginning, up to
// the end of a character.
func sharedLength(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return n
}
