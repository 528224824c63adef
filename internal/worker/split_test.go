package worker

import (
	"context"
	"errors"
	"sort"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/plan"
)

const roundTrip = 10 * time.Millisecond

// timedScan compares two buckets of the same keys in virtual time.
func timedScan(t *testing.T, cfg ScanConfig, b *keyBucket) (wall time.Duration, rec *record) {
	t.Helper()
	rec = newRecord(t)
	if emit := cfg.Emit; emit != nil {
		cfg.Emit = func(ctx context.Context, b Batch) error { return errors.Join(emit(ctx, b), rec.emit(ctx, b)) }
	} else {
		cfg.Emit = rec.emit
	}
	cfg.Src, cfg.Dst, cfg.Plan = b, b, plan.Options{Mode: plan.ModeAlways, Deletes: true}
	s := NewScan(cfg)
	begin := time.Now()
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wall = time.Since(begin)
	if diff := cmp.Diff(wantDecisions(b, b, &cfg.Plan), rec.decisions()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	checkEnd(t, s, rec, len(b.keys), len(b.keys), true)
	return wall, rec
}

// 100 pages at 10 ms take a second one after the other.
func TestScanSplitsWhileWaiting(t *testing.T) {
	t.Parallel()
	const pages, size = 100, 50
	for name, keys := range keyShapes(pages * size) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := &keyBucket{keys: keys, page: size, delay: roundTrip, textOnly: name != "bytes"}
				wall, rec := timedScan(t, ScanConfig{}, b)
				requests, probes := b.count()
				t.Logf("%v, %d partitions, %d requests, %d of them probes", wall, rec.splits+1, requests, probes)
				if wall > pages*roundTrip*2/3 {
					t.Errorf("took %v, want less than two thirds of %v", wall, pages*roundTrip)
				}
				if requests > 4*pages {
					t.Errorf("%d requests where %d pages are", requests, 2*pages)
				}
				if len(b.refused) > 0 {
					t.Errorf("looked for keys that are not UTF-8: %q", b.refused)
				}
			})
		})
	}
}

// Where splitting cannot help, or somebody else is the bottleneck, there is
// neither a split nor a single probe.
func TestScanDoesNotSplit(t *testing.T) {
	t.Parallel()
	keys := keyShapes(5000)["uuids"]
	for name, c := range map[string]struct {
		bucket *keyBucket
		cfg    ScanConfig
	}{
		"the stores answer at once":    {bucket: &keyBucket{}},
		"they answer fast":             {bucket: &keyBucket{delay: 4 * time.Millisecond}},
		"they do not say how they are": {bucket: &keyBucket{delay: roundTrip, noWait: true}},
		"the receiver is busy":         {bucket: &keyBucket{delay: roundTrip}, cfg: ScanConfig{Busy: func() bool { return true }}},
		"the receiver is slow": {bucket: &keyBucket{delay: roundTrip}, cfg: ScanConfig{Emit: func(context.Context, Batch) error {
			<-time.After(roundTrip / 2)
			return nil
		}}},
		"one partition is asked for": {bucket: &keyBucket{delay: roundTrip}, cfg: ScanConfig{MaxPartitions: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := c.bucket
				b.keys, b.page = keys, 50
				_, rec := timedScan(t, c.cfg, b)
				if _, probes := b.count(); rec.splits > 0 || probes > 0 {
					t.Errorf("%d splits, %d probes", rec.splits, probes)
				}
			})
		})
	}
}

// A range that cannot be split is left alone for longer and longer.
func TestScanRemembersFailedSearches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &keyBucket{keys: keyShapes(20_000)["uuids"], page: 20, delay: roundTrip, probeErr: errors.New("denied")}
		_, rec := timedScan(t, ScanConfig{}, b)
		if _, probes := b.count(); rec.splits > 0 || probes < 2 || probes > 10 {
			t.Errorf("%d splits, %d failing probes over 1,000 pages", rec.splits, probes)
		}
	})
}

// A busy machine is late with pages, but a single object comes at once.
func TestScanDoesNotTakeLoadForDistance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &keyBucket{keys: keyShapes(5000)["uuids"], page: 50, delay: roundTrip, probeDelay: time.Millisecond}
		_, rec := timedScan(t, ScanConfig{}, b)
		if _, probes := b.count(); rec.splits > 0 || probes == 0 || probes > 5 {
			t.Errorf("%d splits, %d probes: want a few that show the store is near", rec.splits, probes)
		}
	})
}

// A search answers with a key inside, that leaves something on both sides, in a
// dozen probes, wherever it begins.
func TestFindSplit(t *testing.T) {
	t.Parallel()
	for name, keys := range keyShapes(4000) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uneven, searches := 0, 0
			for from := 0; from < len(keys)-100; from += 97 {
				for _, until := range []int{len(keys) - 1, min(from+1000, len(keys)-1)} {
					b := &keyBucket{keys: keys, textOnly: name != "bytes"}
					pos := Position{After: keys[from]}
					if until < len(keys)-1 {
						pos.Until = keys[until]
					}
					key := findSplit(t.Context(), b, "", pos, false)
					at := sort.SearchStrings(keys, key)
					if key == "" || keys[at] != key || at <= from || at >= until {
						t.Fatalf("between %q and %q: %q", pos.After, pos.Until, key)
					}
					if share := float64(at-from) / float64(until-from); share < 0.02 || share > 0.98 {
						uneven++
					}
					searches++
					if requests, _ := b.count(); requests > maxProbes {
						t.Errorf("between %q and %q: %d probes", pos.After, pos.Until, requests)
					}
					if len(b.refused) > 0 {
						t.Errorf("looked for keys that are not UTF-8: %q", b.refused)
					}
				}
			}
			if uneven > searches/4 {
				t.Errorf("%d of %d splits leave a side with less than a fiftieth", uneven, searches)
			}
		})
	}
}

func TestFindSplitFindsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys []string
		pos  Position
	}{
		"empty":              {nil, Position{After: "a"}},
		"nothing left":       {[]string{"a", "b"}, Position{After: "b"}},
		"one left":           {[]string{"a", "b"}, Position{After: "a", Until: "b"}},
		"the range is empty": {[]string{"a", "b", "c"}, Position{After: "b", Until: "bb"}},
		"greatest of keys":   {[]string{"\U0010ffff", "\U0010ffff\U0010ffff"}, Position{After: "\U0010ffff"}},
	} {
		b := &keyBucket{keys: c.keys}
		if key := findSplit(t.Context(), b, "", c.pos, false); key != "" {
			t.Errorf("%s: found %q", name, key)
		}
	}
}

// The prefix of a scan holds for the search too.
func TestFindSplitKeepsPrefix(t *testing.T) {
	t.Parallel()
	b := &keyBucket{keys: []string{"a", "p/1", "p/2", "p/3", "p/4", "p/5", "x", "y", "z"}}
	key := findSplit(t.Context(), b, "p/", Position{After: "p/1"}, false)
	if key <= "p/1" || key > "p/5" {
		t.Errorf("found %q", key)
	}
}

func FuzzFindSplit(f *testing.F) {
	f.Add("a\nab\nb\nc\nd", 1, 4)
	f.Add("\xff\n\xff\xff\né\nè\n\xc3", 0, 3)
	f.Fuzz(func(t *testing.T, text string, from, until int) {
		keys := sortedLines(text)
		if len(keys) == 0 || from < 0 || from >= len(keys) {
			return
		}
		b := &keyBucket{keys: keys}
		pos := Position{After: keys[from]}
		if until > from && until < len(keys) {
			pos.Until = keys[until]
		}
		key := findSplit(t.Context(), b, "", pos, false)
		if requests, _ := b.count(); requests > maxProbes {
			t.Errorf("%d probes", requests)
		}
		if at := sort.SearchStrings(keys, key); key != "" && (keys[at] != key || key <= pos.After || pos.Until != "" && key >= pos.Until) {
			t.Errorf("%q is not between %q and %q", key, pos.After, pos.Until)
		}
	})
}

func TestBeyond(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"": "", "a": "b", "az": "a{", "a\x7f": "a\u0080", "é": "ê", "\U0010ffff": "", "a\U0010ffff": "b",
		"\xff": "", "a\xff": "b", "a\xfe": "a\xff", "\ufffd": "\ufffe",
	} {
		if got := beyond(prefix); got != want {
			t.Errorf("beyond %q is %q, want %q", prefix, got, want)
		}
	}
}
