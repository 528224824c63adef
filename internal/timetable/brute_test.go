package timetable_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
)

// brute walks from minute to minute and notes when a schedule starts: for every hour, when
// the clock on the wall shows a time of it; else, when the clock reaches or passes one that
// it has not shown before.
func brute(t *testing.T, text string, zone *time.Location, from, to time.Time) (starts []time.Time) {
	t.Helper()
	spec, err := cron.ParseStandard(text)
	if err != nil {
		t.Fatal(err)
	}
	wallAt := func(at time.Time) time.Time {
		_, offset := at.In(zone).Zone()
		return at.UTC().Add(time.Duration(offset) * time.Second)
	}
	hourly := strings.HasPrefix(strings.Fields(text)[1], "*")
	seen := wallAt(from)
	for at := from.Add(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		wall := wallAt(at)
		since := wall.Add(-time.Minute)
		if !hourly {
			since = seen
		}
		if next := spec.Next(since); since.Before(wall) && !next.After(wall) {
			starts = append(starts, at)
		}
		if wall.After(seen) {
			seen = wall
		}
	}
	return starts
}

// TestNextAgainstBruteForce compares random schedules over nights in which clocks are set:
// at midnight, by half an hour, by a whole day.
func TestNextAgainstBruteForce(t *testing.T) {
	t.Parallel()
	nights := []struct{ zone, from string }{
		{"UTC", "2026-01-01T00:00:00Z"},
		{"Europe/Berlin", "2026-03-28T06:00:00Z"},
		{"Europe/Berlin", "2026-10-24T06:00:00Z"},
		{"America/Sao_Paulo", "2018-11-03T12:00:00Z"},
		{"America/Sao_Paulo", "2019-02-16T12:00:00Z"},
		{"America/Havana", "2026-03-07T12:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T00:00:00Z"},
		{"Australia/Lord_Howe", "2026-10-03T00:00:00Z"},
		{"Pacific/Apia", "2011-12-29T00:00:00Z"},
		{"Antarctica/Troll", "2026-03-28T12:00:00Z"},
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	field := func(least, n int) string {
		a := least + r.IntN(n)
		return []string{"*", fmt.Sprintf("*/%d", 1+r.IntN(n)), fmt.Sprintf("%d-%d", a, a+r.IntN(least+n-a)), fmt.Sprint(a)}[r.IntN(4)]
	}
	for range 100 {
		night := nights[r.IntN(len(nights))]
		text := field(0, 60) + " " + field(0, 24) + " * * *"
		zone, err := time.LoadLocation(night.zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := timetable.ParseSchedule(task.Schedule{Cron: text, Zone: night.zone})
		if err != nil {
			t.Fatal(err)
		}
		from := at(t, night.from)
		to := from.Add(48 * time.Hour)
		last := from
		for _, want := range brute(t, text, zone, from, to) {
			if last = s.Next(last); !last.Equal(want) {
				t.Fatalf("seed %d: %q in %s: %s, want %s", seed, text, night.zone, last.UTC(), want.UTC())
			}
		}
		if next := s.Next(last); next.Before(to) {
			t.Fatalf("seed %d: %q in %s: one too many at %s", seed, text, night.zone, next.UTC())
		}
	}
}
