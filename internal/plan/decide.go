package plan

import (
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Decide says what must happen to one key; nil is a side that does not have it.
// It allocates nothing and keeps nothing. A key on neither side is left alone.
//
// The filter comes first. It judges the source's object, and the destination's
// where the source has none:
//
//	source   destination   rule       verdict
//	yes      any           excludes   Ignore EXCLUDED_BY_RULE
//	no       yes           excludes   Leave, deletes or not
//
// Then, in every mode:
//
//	source   destination   verdict
//	yes      no            Copy
//	no       yes           Delete when deletes are on, else Leave
//
// Both sides have the key (ETags as compareETags weighs them, and only when both
// stores' are MD5s; "later" is the destination against the source):
//
//	mode         sizes    ETags          times       verdict
//	always       any      any            any         Copy
//	never        any      any            any         Ignore DESTINATION_EXISTS
//	others       differ   any            any         Copy
//	auto         equal    same           any         Ignore UP_TO_DATE
//	auto         equal    different      any         Copy
//	auto         equal    inconclusive   later       Ignore UP_TO_DATE
//	auto         equal    inconclusive   later       Copy, when Options.Changed
//	auto         equal    inconclusive   not later   Copy
//	size+mtime   equal    any            later       Ignore UP_TO_DATE
//	size+mtime   equal    any            not later   Copy
//	checksum     equal    same           any         Ignore UP_TO_DATE
//	checksum     equal    different      any         Copy
//	checksum     equal    inconclusive   any         Compare
//	oms          equal    different      later       Ignore UP_TO_DATE_BUT_DIFFERENT
//	oms          equal    others         later       Ignore UP_TO_DATE
//	oms          equal    any            not later   Copy
//
// Equal times are not later: clocks have whole seconds. A time that a store does
// not say is not later either. An unknown mode counts as auto (ParseMode refuses it).
func Decide(src, dst *objstore.Object, opt *Options) Decision {
	judged := src
	if judged == nil {
		judged = dst
	}
	if judged == nil {
		return Decision{Verb: Leave}
	}
	included, rule := opt.Filter.Match(judged, opt.Now)
	d := Decision{Rule: rule}
	switch {
	case src == nil:
		d.Verb = Leave
		if included && opt.Deletes {
			d.Verb = Delete
		}
	case !included:
		d.Verb, d.Reason = Ignore, task.Excluded
	case dst == nil:
		d.Verb = Copy
	default:
		d.Verb, d.Reason = compare(src, dst, opt)
	}
	return d
}

// compare decides a key that both sides have.
func compare(src, dst *objstore.Object, opt *Options) (Verb, task.Reason) {
	switch {
	case opt.Mode == ModeAlways:
		return Copy, ""
	case opt.Mode == ModeNever:
		return Ignore, task.DestinationExists
	case src.Size != dst.Size:
		return Copy, ""
	}
	etags := inconclusive
	if opt.SrcETagMD5 && opt.DstETagMD5 && opt.Mode != ModeSizeTime {
		etags = compareETags(src.ETag, dst.ETag)
	}
	switch opt.Mode {
	case ModeOMS:
		switch {
		case !Later(dst.ModTime, src.ModTime):
			return Copy, ""
		case etags == different:
			return Ignore, task.UpToDateButDifferent
		}
		return Ignore, task.UpToDate
	case ModeChecksum:
		if etags == inconclusive {
			return Compare, ""
		}
	}
	trusted := opt.Mode == ModeSizeTime || !opt.Changed
	if etags == same || etags == inconclusive && trusted && Later(dst.ModTime, src.ModTime) {
		return Ignore, task.UpToDate
	}
	return Copy, ""
}

// Later reports whether a is certainly after b. Stores cut their times to whole
// seconds, milliseconds or microseconds, so both are cut to the coarser of what
// their zeros show: 10.000 s may be 10.9 s, and 10.5 s is not after it.
func Later(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return false
	}
	if as, bs := a.Unix(), b.Unix(); as != bs {
		return as > bs
	}
	an, bn := a.Nanosecond(), b.Nanosecond()
	cut := max(precision(an), precision(bn))
	return an/cut > bn/cut
}

// precision returns the coarsest of the usual clock steps, in nanoseconds, that
// a fraction of a second of ns nanoseconds can come from.
func precision(ns int) int {
	for _, step := range [...]int{int(time.Second), int(time.Millisecond), int(time.Microsecond)} {
		if ns%step == 0 {
			return step
		}
	}
	return 1
}
