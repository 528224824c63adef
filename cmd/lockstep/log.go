package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// maxWarnings is how many warnings a run shows unless it is verbose: a million
// failed objects fill no log. The summary counts them all.
const maxWarnings = 20

func logHandler(w io.Writer, out output) slog.Handler {
	opts := &slog.HandlerOptions{Level: slog.LevelWarn}
	switch {
	case out.verbose:
		opts.Level = slog.LevelDebug
	case out.quiet:
		opts.Level = slog.LevelError
	}
	var h slog.Handler = slog.NewTextHandler(w, opts)
	if out.logFormat == "json" {
		h = slog.NewJSONHandler(w, opts)
	}
	if out.verbose {
		return h
	}
	return &firstWarnings{Handler: h, shown: new(atomic.Int64)}
}

// firstWarnings passes the first maxWarnings records below the level of an error.
type firstWarnings struct {
	slog.Handler
	shown *atomic.Int64
}

func (h *firstWarnings) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level >= slog.LevelError || h.shown.Load() <= maxWarnings)
}

func (h *firstWarnings) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		switch n := h.shown.Add(1); {
		case n == maxWarnings+1:
			r = slog.NewRecord(r.Time, r.Level, "more warnings are not shown; --verbose shows all", 0)
		case n > maxWarnings:
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h *firstWarnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &firstWarnings{h.Handler.WithAttrs(attrs), h.shown}
}

func (h *firstWarnings) WithGroup(name string) slog.Handler {
	return &firstWarnings{h.Handler.WithGroup(name), h.shown}
}
