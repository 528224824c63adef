package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/app"
)

// paced is a run that settles 100 objects of 1 kB a second, of 2,000 in all.
type paced struct{ start time.Time }

func (p paced) Run(ctx context.Context) (app.SyncResult, error) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Second):
	}
	return app.SyncResult{Progress: p.Progress(), Stopped: context.Cause(ctx)}, nil
}

func (p paced) Progress() app.Progress {
	elapsed := time.Since(p.start)
	n := int64(elapsed / (10 * time.Millisecond))
	return app.Progress{
		Elapsed: elapsed, Requested: 2000, Synced: n - n/100, Failed: n / 100, Bytes: n * 1000, Moved: n * 1000, PendingBytes: (2000 - n) * 1000,
		InFlight: 8, Limit: 32, Listing: app.ListingProgress{Done: elapsed > time.Second, Partitions: 2, LastKey: "photos/\x1b"},
	}
}

func TestLinesWithoutTerminal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		newSync := func(context.Context, app.SyncConfig) (syncRun, error) { return paced{time.Now()}, nil }
		_, _, stderr := execute(t.Context(), newSync, "sync", "s3://photos", "s3://copy")
		want := "10 s: requested 2000 = synced 990 + ignored 0 + failed 10 + pending 1000; 100 settled/s, 97.7 KiB/s; listing done: 2,000 keys, about 10 s left\n"
		// The run and its second line end in the same moment.
		if first, _, _ := strings.Cut(stderr, "20 s: "); first != want {
			t.Errorf("got %q\nwant %q", first, want)
		}
		_, _, stderr = execute(t.Context(), newSync, "sync", "s3://photos", "s3://copy", "--quiet")
		if stderr != "" {
			t.Errorf("with --quiet stderr has %q", stderr)
		}
	})
}

func TestShortRunsShowNoLines(t *testing.T) {
	t.Parallel()
	_, _, stderr := execute(t.Context(), ending(app.SyncResult{}, nil), "sync", "s3://photos", "s3://copy")
	if stderr != "" {
		t.Errorf("stderr has %q", stderr)
	}
}

func TestLiveDisplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tty := &vt{rows: []string{""}}
		var lines atomic.Int64
		c := &cli{
			stdout: io.Discard, stderr: tty, env: func(string) string { return "" },
			terminal: &terminal{size: func() (int, int) { return 80, 10 }},
			newSync: func(_ context.Context, cfg app.SyncConfig) (syncRun, error) {
				go func() {
					time.Sleep(10*time.Second + frameInterval/2)
					cfg.Log.Warn("halfway")
					lines.Add(1)
				}()
				return paced{time.Now()}, nil
			},
		}
		go func() {
			time.Sleep(15*time.Second + frameInterval/2)
			if lines.Load() != 1 {
				t.Error("the log line was not written")
			}
			got := tty.text()
			_, block, _ := strings.Cut(got, "msg=halfway\n")
			want := `s3://photos → s3://copy
0.0 compared/s  100 settled/s  97.7 KiB/s  8 at work  32 requests at once
synced 1,485 (1.4 MiB)  ignored 0  failed 15  pending 500
listing done: 2,000 keys
███████████████░░░░░ 75 %  running for 15 s, 488.3 KiB to go, about 5.0 s
`
			if diff := cmp.Diff(want, block); diff != "" {
				t.Errorf("after 15 s (-want +got):\n%s\nwhole screen:\n%s", diff, got)
			}
		}()
		c.run(t.Context(), []string{"sync", "s3://photos", "s3://copy"})
		if got := tty.text(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=halfway\n") || tty.hidden || tty.noWrap {
			t.Errorf("left on the screen: %q, cursor hidden %v, wrapping off %v", got, tty.hidden, tty.noWrap)
		}
	})
}

// vt is as much of a terminal as screen needs, and fails on anything else.
type vt struct {
	mu             sync.Mutex
	rows           []string
	row            int
	hidden, noWrap bool
}

func (v *vt) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := string(p)
	for s != "" {
		switch {
		case cut(&s, "\x1b[?25l"):
			v.hidden = true
		case cut(&s, "\x1b[?25h"):
			v.hidden = false
		case cut(&s, "\x1b[?7l"):
			v.noWrap = true
		case cut(&s, "\x1b[?7h"):
			v.noWrap = false
		case cut(&s, "\x1b[J"):
			v.rows = append(v.rows[:v.row], "")
		case cut(&s, "\r\n"), cut(&s, "\n"):
			v.row++
			if v.row == len(v.rows) {
				v.rows = append(v.rows, "")
			}
		case cut(&s, "\r"):
		case strings.HasPrefix(s, "\x1b"):
			var up int
			if n, _ := fmt.Sscanf(s, "\x1b[%dA", &up); n != 1 || up > v.row {
				return 0, fmt.Errorf("unexpected sequence in %q", s)
			}
			v.row -= up
			s = s[strings.Index(s, "A")+1:]
		default:
			end := strings.IndexAny(s, "\r\n\x1b")
			if end < 0 {
				end = len(s)
			}
			v.rows[v.row] = s[:end] // every text of ours begins at the left
			s = s[end:]
			cut(&s, "\x1b[K")
		}
	}
	return len(p), nil
}

func cut(s *string, prefix string) bool {
	rest, ok := strings.CutPrefix(*s, prefix)
	*s = rest
	return ok
}

func (v *vt) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.rows, "\n")
}

func TestLiveLinesFit(t *testing.T) {
	t.Parallel()
	p := paced{time.Now().Add(-2 * time.Second)}.Progress()
	for _, done := range []bool{false, true} {
		p.Listing.Done = done
		for width := range 100 {
			for height := range 8 {
				lines := liveLines("s3://photos → s3://copy", p, rates{1, 1, 1}, width, height, false)
				if len(lines) > max(1, height-1) {
					t.Fatalf("%d lines on %d rows", len(lines), height)
				}
				for _, l := range lines {
					if n := len([]rune(l)); n > width || strings.ContainsRune(l, '\x1b') {
						t.Fatalf("line %q of %d columns on %d", l, n, width)
					}
				}
			}
		}
	}
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	listed := app.ListingProgress{Done: true}
	for _, c := range []struct {
		p    app.Progress
		r    rates
		want time.Duration
		ok   bool
	}{
		{app.Progress{Requested: 100, Listing: listed}, rates{settled: 10}, 10 * time.Second, true},
		{app.Progress{Requested: 1, PendingBytes: 1000, Listing: listed}, rates{settled: 10, bytes: 10}, 100 * time.Second, true},
		{app.Progress{Requested: 1, PendingBytes: 1000, Listing: listed}, rates{bytes: 10}, 100 * time.Second, true},
		{app.Progress{Requested: 100}, rates{settled: 10}, 0, false},
		{app.Progress{Requested: 100, Listing: listed}, rates{}, 0, false},
		{app.Progress{Requested: 100, Synced: 100, Listing: listed}, rates{settled: 10}, 0, false},
	} {
		if got, ok := timeLeft(c.p, c.r); got != c.want || ok != c.ok {
			t.Errorf("%+v, %+v: %v, %v; want %v, %v", c.p, c.r, got, ok, c.want, c.ok)
		}
	}
}
