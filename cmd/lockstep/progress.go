package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/app"
)

// syncRun is app.Sync as this command uses it.
type syncRun interface {
	Run(ctx context.Context) (app.SyncResult, error)
	Progress() app.Progress
}

const (
	frameInterval = 200 * time.Millisecond
	lineInterval  = 10 * time.Second // without a terminal
	rateWindow    = 5 * time.Second  // rates are means over this long
)

type progressOptions struct {
	run   syncRun
	title string
	quiet bool
}

// progress shows a run on a screen until it is stopped.
type progress struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startProgress shows o.run: live on a terminal, else a line at intervals. The
// caller calls stop.
func startProgress(ctx context.Context, screen *screen, o progressOptions) *progress {
	// An interrupted run still shows how it comes to its end.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &progress{cancel: cancel}
	switch {
	case o.quiet:
	case screen.terminal != nil:
		p.done.Go(func() { showLive(ctx, screen, o) })
	default:
		p.done.Go(func() { showLines(ctx, screen, o) })
	}
	return p
}

// stop ends the display and returns when the screen is free.
func (p *progress) stop() {
	p.cancel()
	p.done.Wait()
}

func showLive(ctx context.Context, screen *screen, o progressOptions) {
	tick := time.NewTicker(frameInterval)
	defer tick.Stop()
	var m meter
	m.add(time.Now(), app.Progress{})
	for {
		select {
		case <-ctx.Done():
			screen.clear()
			return
		case now := <-tick.C:
			p := o.run.Progress()
			m.add(now, p)
			width, height := screen.terminal.size()
			screen.draw(liveLines(o.title, p, m.rates(), width, height, screen.terminal.colour))
		}
	}
}

func showLines(ctx context.Context, screen *screen, o progressOptions) {
	tick := time.NewTicker(lineInterval)
	defer tick.Stop()
	var m meter
	m.add(time.Now(), app.Progress{})
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p := o.run.Progress()
			m.add(now, p)
			screen.say(progressLine(p, m.rates()))
		}
	}
}

// rates are per second.
type rates struct {
	compared, settled, bytes float64
}

// meter derives rates from the snapshots of the last rateWindow, of which it
// keeps at least two.
type meter struct {
	samples []sample
}

type sample struct {
	at                       time.Time
	compared, settled, moved int64
}

func (m *meter) add(at time.Time, p app.Progress) {
	for len(m.samples) > 1 && at.Sub(m.samples[1].at) >= rateWindow {
		m.samples = m.samples[1:]
	}
	// A copy inside one service moves nothing through this process.
	m.samples = append(m.samples, sample{at, p.Requested, p.Synced + p.Failed, max(p.Moved, p.Bytes)})
}

func (m *meter) rates() rates {
	if len(m.samples) < 2 {
		return rates{}
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return rates{}
	}
	per := func(n int64) float64 { return float64(n) / seconds }
	return rates{per(last.compared - first.compared), per(last.settled - first.settled), per(last.moved - first.moved)}
}

// timeLeft estimates how long the pending objects take; ok is false while the
// listing goes on, because nobody knows then how many there are.
func timeLeft(p app.Progress, r rates) (left time.Duration, ok bool) {
	if !p.Listing.Done || p.Pending() <= 0 || r.settled <= 0 && r.bytes <= 0 {
		return 0, false
	}
	var seconds float64
	if r.settled > 0 {
		seconds = float64(p.Pending()) / r.settled
	}
	// With few large objects bytes tell more than objects.
	if r.bytes > 0 {
		seconds = max(seconds, float64(p.PendingBytes)/r.bytes)
	}
	return time.Duration(min(seconds, 1e9) * float64(time.Second)), true
}

// title names both sides of a run.
func title(cfg app.SyncConfig) string {
	t := printable(cfg.Src.Address()) + " → " + printable(cfg.Dst.Address())
	if cfg.DryRun {
		t += " (dry run)"
	}
	return t
}

// liveLines is one frame, at most height-1 lines of at most width columns.
func liveLines(title string, p app.Progress, r rates, width, height int, colour bool) []string {
	failed := "failed " + formatCount(p.Failed)
	lines := []string{
		title,
		fmt.Sprintf("%s compared/s  %s settled/s  %s/s  %d at work  %d requests at once",
			formatRate(r.compared), formatRate(r.settled), formatBytes(int64(r.bytes)), p.InFlight, p.Limit),
		fmt.Sprintf("synced %s (%s)  ignored %s  %s  pending %s", formatCount(p.Synced), formatBytes(p.Bytes),
			formatCount(p.Ignored), failed, formatCount(p.Pending())),
		listingLine(p),
		endLine(p, r, width),
	}
	lines = lines[:max(1, min(len(lines), height-1))]
	for i, l := range lines {
		l = clip(l, width)
		if colour && i == 0 {
			l = "\x1b[1m" + l + "\x1b[0m"
		}
		if colour && p.Failed > 0 {
			l = strings.Replace(l, failed, "\x1b[31m"+failed+"\x1b[0m", 1)
		}
		lines[i] = l
	}
	return lines
}

func listingLine(p app.Progress) string {
	switch {
	case p.Listing.Done:
		return "listing done: " + formatCount(p.Requested) + " keys"
	case p.Listing.LastKey == "":
		return "listing …"
	}
	ranges := ""
	if p.Listing.Partitions > 1 {
		ranges = fmt.Sprintf(" in %d ranges", p.Listing.Partitions)
	}
	return fmt.Sprintf("listing%s: %s keys, at %s", ranges, formatCount(p.Requested), printable(p.Listing.LastKey))
}

// endLine says how long it went on and, when that can be known, how much is left.
func endLine(p app.Progress, r rates, width int) string {
	elapsed := "running for " + formatDuration(p.Elapsed)
	left, ok := timeLeft(p, r)
	if !ok {
		return elapsed
	}
	end := fmt.Sprintf("%s, %s to go, about %s", elapsed, formatBytes(p.PendingBytes), formatDuration(left))
	done := 1 - float64(p.Pending())/float64(p.Requested)
	if all := p.Bytes + p.PendingBytes; all > 0 {
		done = min(done, float64(p.Bytes)/float64(all))
	}
	const bar = 20
	if width < bar+len(end)+10 {
		return end
	}
	full := int(done * bar)
	return fmt.Sprintf("%s%s %2.0f %%  %s", strings.Repeat("█", full), strings.Repeat("░", bar-full), done*100, end)
}

// progressLine is what a log file gets at intervals.
func progressLine(p app.Progress, r rates) string {
	left := ""
	if d, ok := timeLeft(p, r); ok {
		left = ", about " + formatDuration(d) + " left"
	}
	return fmt.Sprintf("%s: requested %d = synced %d + ignored %d + failed %d + pending %d; %s settled/s, %s/s; %s%s",
		formatDuration(p.Elapsed), p.Requested, p.Synced, p.Ignored, p.Failed, p.Pending(),
		formatRate(r.settled), formatBytes(int64(r.bytes)), listingLine(p), left)
}
