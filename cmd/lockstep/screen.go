package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// screen shares stderr between log lines and a block of lines that is drawn again
// and again at its end. Without a terminal it only passes lines on.
type screen struct {
	w        io.Writer
	terminal *terminal // nil: nothing is drawn

	mu    sync.Mutex
	block []byte // as drawn last, to put it back after a log line
	drawn int    // lines of it on the screen
}

// A frame is one write. The cursor is hidden, and lines are cut at the edge
// instead of wrapped, only within it: however the process ends, the terminal is
// as it was.
const (
	frameBegin = "\x1b[?25l\x1b[?7l"
	frameEnd   = "\x1b[?7h\x1b[?25h"
	eraseRight = "\x1b[K"
	eraseBelow = "\x1b[J"
)

// draw replaces the block by lines.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var block bytes.Buffer
	for _, l := range lines {
		block.WriteString(l + eraseRight + "\r\n")
	}
	s.frame(nil, block.Bytes(), len(lines))
}

// clear removes the block.
func (s *screen) clear() { s.draw(nil) }

// Write puts log lines above the block.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn == 0 {
		return s.w.Write(p)
	}
	s.frame(p, s.block, s.drawn)
	return len(p), nil
}

// say writes one line of ours.
func (s *screen) say(line string) { _, _ = fmt.Fprintln(s, line) }

// frame writes above, which ends in a line feed, and below it a block of n lines
// in place of the one on the screen.
func (s *screen) frame(above, block []byte, n int) {
	if s.drawn == 0 && n == 0 {
		return
	}
	var b bytes.Buffer
	b.WriteString(frameBegin)
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA", s.drawn)
	}
	if above != nil {
		b.WriteString(eraseBelow + "\x1b[?7h") // a log line may wrap
		b.Write(above)
		b.WriteString("\x1b[?7l")
	}
	b.Write(block)
	b.WriteString(eraseBelow + frameEnd)
	_, _ = s.w.Write(b.Bytes()) // a lost screen does not stop a sync
	s.block, s.drawn = bytes.Clone(block), n
}
