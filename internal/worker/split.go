package worker

import (
	"context"
	"time"
)

// When a partition is worth splitting. Listing in parallel helps where time goes
// into waiting; against a store on the same machine it only costs CPU.
const (
	// minWait is the least that every recent page must have waited for its store. A
	// busy machine delays some pages, distance delays all of them.
	minWait = 5 * time.Millisecond
	// waitOverWork is how many times our own work per page that wait must be.
	waitOverWork = 4
	// recentPages is how many positions are looked at, and so how far the first
	// partition must have come before it is split; one is enough for those after it.
	recentPages = 3
	// firstRetry is after how many pages a failed search is repeated; each further
	// failure doubles it.
	firstRetry = 8
)

// splitWhileWaiting returns the splitter of one partition and what to call at
// its end. The search for a key runs beside the listing; its answer takes effect
// at the page that follows.
func (s *Scan) splitWhileWaiting() (Splitter, func()) {
	p := &patience{scan: s, found: make(chan string, 1)}
	return p.ask, p.end
}

// patience watches how a partition waits, and has a key searched when that
// dominates. It belongs to the partition's goroutine.
type patience struct {
	scan      *Scan
	recent    [recentPages]timing
	positions int
	nextTry   int // no search before so many positions
	failures  int
	searching bool        // a slot is reserved
	found     chan string // the search's answer, "" for none
}

// timing is a Position's figures without its keys, which would hold pages.
type timing struct{ src, dst, work time.Duration }

// ask implements Splitter.
func (p *patience) ask(ctx context.Context, pos Position) string {
	p.recent[p.positions%recentPages] = timing{pos.SrcWait, pos.DstWait, pos.Work}
	p.positions++
	if p.searching {
		return p.answer(pos)
	}
	if p.positions >= p.nextTry && p.waits() && !p.scan.cfg.Busy() && p.scan.reserve() {
		p.searching = true
		larger, wait := p.scan.cfg.Src, pos.SrcWait
		if pos.DstObjects > pos.SrcObjects {
			larger, wait = p.scan.cfg.Dst, pos.DstWait
		}
		p.scan.group.Go(func() error {
			p.found <- findSplit(ctx, larger, p.scan.cfg.Prefix, pos, wait >= minWait)
			return nil
		})
	}
	return ""
}

// answer takes the search's answer once it is there.
func (p *patience) answer(pos Position) string {
	select {
	case key := <-p.found:
		p.searching = false
		if key > pos.After && (pos.Until == "" || key < pos.Until) {
			p.failures = 0
			return key // the new partition takes over the slot
		}
		p.scan.release()
		p.nextTry = p.positions + firstRetry<<min(p.failures, 20)
		p.failures++
	default:
	}
	return ""
}

// end gives up a search under way; the partition's context has ended it.
func (p *patience) end() {
	if p.searching {
		p.scan.release()
	}
}

// waits reports whether waiting for the stores has dominated lately.
func (p *patience) waits() bool {
	known := min(p.positions, recentPages)
	if known < recentPages && !p.scan.hasSplit() {
		return false // one page is late for many reasons
	}
	least, work := p.recent[0], time.Duration(0)
	for _, t := range p.recent[:known] {
		least.src, least.dst = min(least.src, t.src), min(least.dst, t.dst)
		work += t.work
	}
	wait := max(least.src, least.dst)
	return wait >= minWait && wait >= waitOverWork*work/time.Duration(known)
}
