package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const (
	md5A  = "9e107d9d372bb6826bd81d3542a419d6"
	md5B  = "e4d909c290d0fb1ca068ffaddf22cbd0"
	twoA  = md5A + "-2"
	twoB  = md5B + "-2"
	fourA = md5A + "-4"
)

var noon = time.Date(2025, 5, 1, 12, 0, 0, 0, time.UTC)

// The two ETags of a case, and what they say when both stores' are MD5s.
var etagCases = map[string][][2]string{
	"same":      {{md5A, md5A}, {md5A, strings.ToUpper(md5A)}, {twoA, twoA}, {strings.ToUpper(twoA), twoA}},
	"different": {{md5A, md5B}, {md5A, strings.ToUpper(md5B)}},
	"inconclusive": {
		{"", ""},
		{md5A, ""},
		{"", md5A},
		{twoA, ""},
		{twoA, twoB},
		{twoA, fourA},
		{md5A, twoA},
		{twoA, md5A},
		{"0x8DCE3F1", "0x8DCE3F1"},
		{md5A, md5A + "-"},
		{md5A + "-", md5A + "-"},
		{md5A + "-x", md5A + "-x"},
		{md5A[:31], md5A[:31]},
		{md5A[:31] + "g", md5A[:31] + "g"},
		{md5A + "00", md5A + "00"},
	},
}

// Destination against source.
var timeCases = map[string][][2]time.Time{
	"later": {
		{noon, noon.Add(time.Second)},
		{noon, noon.Add(time.Hour)},
		{noon.Add(900 * time.Millisecond), noon.Add(time.Second)},
		{noon.Add(100 * time.Millisecond), noon.Add(200 * time.Millisecond)},
		{noon.Add(1500001), noon.Add(1500002)},
	},
	"equal": {{noon, noon}, {noon.Add(7), noon.Add(7)}},
	"earlier": {
		{noon, noon.Add(-time.Second)},
		{noon.Add(2), noon.Add(1)},
		{noon.Add(500 * time.Millisecond), noon.Add(400 * time.Millisecond)},
	},
	"unknown": {
		{noon, noon.Add(500 * time.Millisecond)},                               // the source's clock may have whole seconds
		{noon.Add(500 * time.Millisecond), noon.Add(500*time.Millisecond + 1)}, // … or milliseconds
		{noon.Add(500 * time.Microsecond), noon.Add(500*time.Microsecond + 1)}, // … or microseconds
		{{}, noon}, {noon, {}}, {{}, {}},
	},
}

// The table of Decide's comment for keys on both sides, sizes equal.
var table = []struct {
	mode  plan.Mode
	etags string // a key of etagCases, or any
	times string // a key of timeCases, any, or "not later"
	want  plan.Decision
}{
	{plan.ModeAlways, "any", "any", plan.Decision{Verb: plan.Copy}},
	{plan.ModeNever, "any", "any", plan.Decision{Verb: plan.Ignore, Reason: task.DestinationExists}},
	{plan.ModeAuto, "same", "any", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeAuto, "different", "any", plan.Decision{Verb: plan.Copy}},
	{plan.ModeAuto, "inconclusive", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeAuto, "inconclusive", "not later", plan.Decision{Verb: plan.Copy}},
	{"", "same", "any", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{"", "different", "any", plan.Decision{Verb: plan.Copy}},
	{"", "inconclusive", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{"", "inconclusive", "not later", plan.Decision{Verb: plan.Copy}},
	{plan.ModeSizeTime, "any", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeSizeTime, "any", "not later", plan.Decision{Verb: plan.Copy}},
	{plan.ModeChecksum, "same", "any", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeChecksum, "different", "any", plan.Decision{Verb: plan.Copy}},
	{plan.ModeChecksum, "inconclusive", "any", plan.Decision{Verb: plan.Compare}},
	{plan.ModeOMS, "same", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeOMS, "different", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDateButDifferent}},
	{plan.ModeOMS, "inconclusive", "later", plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}},
	{plan.ModeOMS, "any", "not later", plan.Decision{Verb: plan.Copy}},
}

func TestDecideBothSides(t *testing.T) {
	t.Parallel()
	rows := 0
	for _, row := range table {
		for says, pairs := range etagCases {
			for when, times := range timeCases {
				if row.etags != "any" && row.etags != says || !timesFit(row.times, when) {
					continue
				}
				for _, etags := range pairs {
					for _, tm := range times {
						rows++
						src := objstore.Object{Key: "k", Size: 5, ETag: etags[0], ModTime: tm[0]}
						dst := objstore.Object{Key: "k", Size: 5, ETag: etags[1], ModTime: tm[1]}
						opt := plan.Options{Mode: row.mode, SrcETagMD5: true, DstETagMD5: true}
						if got := plan.Decide(&src, &dst, &opt); got != row.want {
							t.Errorf("mode %q, ETags %s %q, times %s %v: %+v, want %+v", row.mode, says, etags, when, tm, got, row.want)
						}
					}
				}
			}
		}
	}
	if want := len([]plan.Mode{"", "auto", "size+mtime", "checksum", "always", "never", "oms"}) * 21 * 16; rows != want {
		t.Errorf("the table covers %d combinations, want %d: each once", rows, want)
	}
}

func timesFit(row, when string) bool {
	return row == "any" || row == when || row == "not later" && when != "later"
}

// Sizes that differ are copied in every mode but never, however equal the rest is.
func TestDecideSizesDiffer(t *testing.T) {
	t.Parallel()
	for _, mode := range []plan.Mode{"", plan.ModeAuto, plan.ModeSizeTime, plan.ModeChecksum, plan.ModeAlways, plan.ModeOMS, plan.ModeNever} {
		src := objstore.Object{Key: "k", Size: 5, ETag: md5A, ModTime: noon}
		dst := objstore.Object{Key: "k", Size: 6, ETag: md5A, ModTime: noon.Add(time.Hour)}
		want := plan.Decision{Verb: plan.Copy}
		if mode == plan.ModeNever {
			want = plan.Decision{Verb: plan.Ignore, Reason: task.DestinationExists}
		}
		if got := plan.Decide(&src, &dst, &plan.Options{Mode: mode, SrcETagMD5: true, DstETagMD5: true}); got != want {
			t.Errorf("mode %q: %+v, want %+v", mode, got, want)
		}
	}
}

// ETags prove nothing, neither way, unless both stores' are MD5s.
func TestDecideUntrustedETags(t *testing.T) {
	t.Parallel()
	for _, trust := range [][2]bool{{false, false}, {true, false}, {false, true}} {
		for _, etags := range [][2]string{{md5A, md5A}, {md5A, md5B}, {twoA, twoA}} {
			opt := plan.Options{SrcETagMD5: trust[0], DstETagMD5: trust[1]}
			src := objstore.Object{Key: "k", ETag: etags[0], ModTime: noon}
			dst := objstore.Object{Key: "k", ETag: etags[1], ModTime: noon}
			if got := plan.Decide(&src, &dst, &opt); got.Verb != plan.Copy {
				t.Errorf("trust %v, ETags %q, equal times: %+v, want a copy", trust, etags, got)
			}
			dst.ModTime = noon.Add(time.Second)
			if got := plan.Decide(&src, &dst, &opt); got.Reason != task.UpToDate {
				t.Errorf("trust %v, ETags %q, destination later: %+v, want up to date", trust, etags, got)
			}
			opt.Mode = plan.ModeChecksum
			if got := plan.Decide(&src, &dst, &opt); got.Verb != plan.Compare {
				t.Errorf("trust %v, ETags %q, checksum: %+v, want a comparison", trust, etags, got)
			}
		}
	}
}

func TestDecideOneSide(t *testing.T) {
	t.Parallel()
	obj := &objstore.Object{Key: "dir/a.tmp", Size: 5, ModTime: noon}
	out := plan.NewFilter(rule(t, "include keep/**"), rule(t, "exclude *.tmp"))
	in := plan.NewFilter(rule(t, "include *.tmp"), rule(t, "exclude **"))
	all := []plan.Mode{"", plan.ModeAuto, plan.ModeSizeTime, plan.ModeChecksum, plan.ModeAlways, plan.ModeNever, plan.ModeOMS}
	for _, c := range []struct {
		name     string
		src, dst *objstore.Object
		deletes  bool
		filter   plan.Filter
		want     plan.Decision
	}{
		{"source only", obj, nil, false, plan.Filter{}, plan.Decision{Verb: plan.Copy}},
		{"source only, included", obj, nil, false, in, plan.Decision{Verb: plan.Copy, Rule: 1}},
		{"source only, excluded", obj, nil, false, out, plan.Decision{Verb: plan.Ignore, Reason: task.Excluded, Rule: 2}},
		{"both, excluded", obj, obj, true, out, plan.Decision{Verb: plan.Ignore, Reason: task.Excluded, Rule: 2}},
		{"destination only, deletes off", nil, obj, false, plan.Filter{}, plan.Decision{Verb: plan.Leave}},
		{"destination only, deletes on", nil, obj, true, plan.Filter{}, plan.Decision{Verb: plan.Delete}},
		{"destination only, deletes on, included", nil, obj, true, in, plan.Decision{Verb: plan.Delete, Rule: 1}},
		{"destination only, deletes on, excluded", nil, obj, true, out, plan.Decision{Verb: plan.Leave, Rule: 2}},
		{"neither", nil, nil, true, plan.Filter{}, plan.Decision{Verb: plan.Leave}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range all {
				opt := plan.Options{Mode: mode, Deletes: c.deletes, Filter: c.filter, Now: noon}
				if diff := cmp.Diff(c.want, plan.Decide(c.src, c.dst, &opt)); diff != "" {
					t.Errorf("mode %q (-want +got):\n%s", mode, diff)
				}
			}
		})
	}
}

// A rule on size or age judges the source's object where there is one.
func TestDecideFilterJudgesSource(t *testing.T) {
	t.Parallel()
	small, big := &objstore.Object{Key: "k", Size: 1}, &objstore.Object{Key: "k", Size: 1 << 30}
	opt := plan.Options{Deletes: true, Filter: plan.NewFilter(rule(t, "exclude size>10M"))}
	for _, c := range []struct {
		src, dst *objstore.Object
		want     plan.Verb
	}{{small, big, plan.Copy}, {big, small, plan.Ignore}, {nil, small, plan.Delete}, {nil, big, plan.Leave}} {
		if got := plan.Decide(c.src, c.dst, &opt); got.Verb != c.want {
			t.Errorf("source %v, destination %v: %+v, want verb %d", c.src, c.dst, got, c.want)
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	src := &objstore.Object{Key: "photos/2024/ä/img_0001.jpg", Size: 5, ETag: md5A, ModTime: noon}
	dst := &objstore.Object{Key: src.Key, Size: 5, ETag: twoA, ModTime: noon.Add(time.Second)}
	filter := plan.NewFilter(rule(t, "exclude size>1G"), rule(t, "exclude age>100w"), rule(t, "exclude photos/**/{x,[a-c]?}/*.png"))
	for _, row := range table {
		opt := plan.Options{Mode: row.mode, Deletes: true, SrcETagMD5: true, DstETagMD5: true, Filter: filter, Now: noon}
		if n := testing.AllocsPerRun(100, func() {
			plan.Decide(src, dst, &opt)
			plan.Decide(src, nil, &opt)
			plan.Decide(nil, dst, &opt)
		}); n != 0 {
			t.Errorf("mode %q allocates %v times", row.mode, n)
		}
	}
}

func TestParseMode(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]plan.Mode{"": plan.ModeAuto, "auto": plan.ModeAuto, "size+mtime": plan.ModeSizeTime, "oms": plan.ModeOMS} {
		if got, err := plan.ParseMode(name); got != want || err != nil {
			t.Errorf("ParseMode(%q) = %q, %v", name, got, err)
		}
	}
	if _, err := plan.ParseMode("etag"); task.KindOf(err) != task.Invalid {
		t.Errorf("ParseMode of an unknown name: %v, want an Invalid error", err)
	}
}

func BenchmarkDecide(b *testing.B) {
	src := &objstore.Object{Key: "photos/2024/img_0001.jpg", Size: 5, ETag: md5A, ModTime: noon}
	later := noon.Add(time.Hour)
	for _, c := range []struct {
		name   string
		etag   string
		filter []string
	}{
		{"equal", md5A, nil},
		{"different", md5B, nil},
		{"by-time", twoA, nil},
		{"three-rules", md5A, []string{"exclude *.tmp", "exclude logs/**", "exclude size>1G"}},
		{"general-glob", md5A, []string{"exclude photos/*/[x-z]*/**/*.png"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := &objstore.Object{Key: src.Key, Size: 5, ETag: strings.Clone(c.etag), ModTime: later}
			opt := plan.Options{SrcETagMD5: true, DstETagMD5: true, Now: later}
			var rules []plan.Rule
			for _, text := range c.filter {
				rules = append(rules, rule(b, text))
			}
			opt.Filter = plan.NewFilter(rules...)
			b.ReportAllocs()
			for b.Loop() {
				plan.Decide(src, dst, &opt)
			}
		})
	}
}

func rule(tb testing.TB, text string) plan.Rule {
	tb.Helper()
	r, err := plan.ParseRule(text)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// A destination may be later than a change that its copy did not see: where somebody
// says that the key changed, times alone do not make auto leave it alone.
func TestDecideChanged(t *testing.T) {
	t.Parallel()
	src := objstore.Object{Key: "k", Size: 5, ETag: "1-2", ModTime: noon}
	dst := objstore.Object{Key: "k", Size: 5, ETag: "3-4", ModTime: noon.Add(time.Hour)}
	upToDate := plan.Decision{Verb: plan.Ignore, Reason: task.UpToDate}
	for mode, want := range map[plan.Mode]plan.Decision{
		plan.ModeAuto: {Verb: plan.Copy}, "": {Verb: plan.Copy},
		plan.ModeSizeTime: upToDate, plan.ModeOMS: upToDate, plan.ModeChecksum: {Verb: plan.Compare},
	} {
		if got := plan.Decide(&src, &dst, &plan.Options{Mode: mode, Changed: true}); got != want {
			t.Errorf("mode %q: %+v, want %+v", mode, got, want)
		}
	}
	src.ETag, dst.ETag = md5A, md5A
	if got := plan.Decide(&src, &dst, &plan.Options{Changed: true, SrcETagMD5: true, DstETagMD5: true}); got != upToDate {
		t.Errorf("equal ETags: %+v", got)
	}
}
