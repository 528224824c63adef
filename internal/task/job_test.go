package task

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	a, b := NewID(), NewID()
	if a == b || !a.Valid() || a[14] != '4' || !strings.ContainsRune("89ab", rune(a[19])) {
		t.Fatalf("ids %s, %s", a, b)
	}
	for _, bad := range []ID{"", a[1:], a + "0", ID(strings.ToUpper(string(a))), "01234567-0123-0123-0123-01234567890/"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
	var ids []JobID
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range 300 {
		ids = append(ids, NewJobID(at.Add(time.Duration(i)*7*time.Millisecond)))
		if !ids[i].Valid() {
			t.Fatalf("%q is not valid", ids[i])
		}
	}
	if !slices.IsSorted(ids) {
		t.Fatal("job ids do not sort by time")
	}
	for _, bad := range []JobID{"", ids[0][1:], ids[0][:25] + "z", ids[0][:25] + "/"} {
		if bad.Valid() {
			t.Errorf("%q is valid", bad)
		}
	}
}

// Rows in databases were placed by it: these never change.
func TestShardOf(t *testing.T) {
	t.Parallel()
	got := []int{ShardOf("", 16), ShardOf("a", 16), ShardOf("photos/2026/a+b.jpg", 16), ShardOf("\xff\x00", 16), ShardOf("a", 7), ShardOf("a", 1), ShardOf("a", 0)}
	if want := []int{2, 13, 12, 11, 0, 0, 0}; !slices.Equal(got, want) {
		t.Fatalf("shards %v, want %v", got, want)
	}
	var n [16]int
	for i := range 16_000 {
		n[ShardOf(strings.Repeat("dir/", i%3)+time.Unix(int64(i), 0).Format(time.RFC3339), 16)]++
	}
	for i, c := range n {
		if c < 800 || c > 1200 {
			t.Errorf("shard %d has %d of 16,000 keys", i, c)
		}
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{"": false, "a": true, "\x00": true, strings.Repeat("k", MaxKeyBytes): true, strings.Repeat("k", MaxKeyBytes+1): false} {
		if err := CheckKey(key); (err == nil) != ok || err != nil && KindOf(err) != Invalid {
			t.Errorf("%d bytes: %v", len(key), err)
		}
	}
}

func TestCountsCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		counts Counts
		ok     bool
	}{
		{"nothing", Counts{}, true},
		{"all", Counts{Requested: 10, Synced: 4, Failed: 1, Ignored: 3, Unchanged: 2, Flagged: 1, Deleted: 1, Missed: 1, Bytes: 9}, true},
		{"more ended than requested", Counts{Requested: 1, Synced: 2}, false},
		{"below zero", Counts{Requested: 1, Failed: -1}, false},
		{"bytes below zero", Counts{Bytes: -1}, false},
		{"more unchanged than ignored", Counts{Requested: 2, Ignored: 1, Unchanged: 2}, false},
		{"more deleted than synced", Counts{Requested: 2, Synced: 1, Deleted: 2}, false},
		{"more missed than synced", Counts{Requested: 2, Synced: 1, Missed: 2}, false},
	} {
		if err := c.counts.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	a := Counts{Requested: 10, Synced: 1, Failed: 2, Ignored: 3, Unchanged: 1, Deleted: 1, Flagged: 2, Missed: 1, Bytes: 5}
	b := a
	b.Add(a)
	if b.Pending() != 8 || b.Bytes != 10 || b.Unchanged != 2 || b.Deleted != 2 || b.Flagged != 4 || b.Missed != 2 {
		t.Errorf("sum %+v", b)
	}
}

func TestLocationOverlaps(t *testing.T) {
	t.Parallel()
	at := func(e EndpointID, bucket, prefix string) Location { return Location{e, bucket, prefix} }
	for _, c := range []struct {
		a, b Location
		want bool
	}{
		{at("e", "b", ""), at("e", "b", ""), true},
		{at("e", "b", ""), at("e", "b", "x"), true},
		{at("e", "b", "x/"), at("e", "b", "x/y/"), true},
		{at("e", "b", "x/"), at("e", "b", "y/"), false},
		{at("e", "b", "a"), at("e", "b", "ab"), true}, // the key "abc" is in both
		{at("e", "b", ""), at("e", "c", ""), false},
		{at("e", "b", ""), at("f", "b", ""), false},
	} {
		if got := c.a.Overlaps(c.b); got != c.want || c.b.Overlaps(c.a) != got {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
	}
}

func TestJobStates(t *testing.T) {
	t.Parallel()
	for s, ended := range map[JobState]bool{JobOpen: false, JobClosed: false, JobCancelling: false, JobDone: true, JobCancelled: true, JobStopped: true, JobFailed: true} {
		if s.Ended() != ended {
			t.Errorf("%s", s)
		}
	}
}
