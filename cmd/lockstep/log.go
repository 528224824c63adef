package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// maxWarnings is how many warnings a run shows unless it is verbose: a million
// failed objects fill no log. The summary counts them all.
const maxWarnings = 20

// withCauses makes errors tell what they keep from clients: the log is the place for it.
func withCauses(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(causes(err))
		}
	}
	return a
}

// causes is the text of err and the causes that it leaves out.
func causes(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*task.Error](err); ok && e.Err != nil {
		cause := causes(e.Err)
		if rest, same := strings.CutPrefix(cause, e.Error()); same && strings.HasSuffix(text, e.Error()) {
			text += rest
		} else if !strings.Contains(text, cause) {
			text += ": " + cause
		}
	}
	return text
}

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
