package api

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

type requestIDKey struct{}

func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID is the number of the request that ctx belongs to; every answer carries it in
// X-Request-Id, and so do the log and the audit chain.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

func newRequestID() string { return strings.ToLower(rand.Text()[:20]) }

// RemoteAddress is the address of the client, without its port.
func RemoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// access writes a line of the access log: at debug level of what went well, which the
// metrics count, since it is a fortieth of what an event costs. Headers and queries stay
// out: secrets travel in them.
func (r *Router) access(req *http.Request, route Route, path, id string, w *response, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case w.code() >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case route.Name == "process", w.code() < http.StatusBadRequest:
		level = slog.LevelDebug
	}
	ctx := req.Context()
	if !r.log.Enabled(ctx, level) {
		return
	}
	if route.Mask != nil {
		path = route.Mask(path)
	}
	r.log.LogAttrs(ctx, level, "request",
		slog.String("method", req.Method), slog.String("path", path), slog.String("route", route.Name),
		slog.Int("status", w.code()), slog.Int64("bytes", w.bytes), slog.Duration("took", took),
		slog.String("client", RemoteAddress(req)), slog.String("request", id))
}

// LogRefusal logs what the client of a refused request is not told: all of an Internal
// error; the cause of one that is Unavailable, which it is referred to the log for; and at
// debug level the cause of any other. A client that went away is no error.
func LogRefusal(ctx context.Context, log *slog.Logger, err error) {
	level, text, cause := slog.LevelDebug, "request refused", err
	gone := ctx.Err() != nil
	if kind := task.KindOf(err); kind != task.Internal {
		e, _ := errors.AsType[*task.Error](err)
		if cause = e.Err; kind == task.Unavailable && !gone {
			level = slog.LevelWarn
		}
	} else if !gone {
		level, text = slog.LevelError, "request failed"
	}
	if cause != nil {
		log.Log(ctx, level, text, "error", cause, "request", RequestID(ctx))
	}
}

// stack is the calls that led to a panic, without their arguments.
func stack() string {
	var calls [32]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(4, calls[:])])
	var b strings.Builder
	for {
		f, more := frames.Next()
		b.WriteString(f.Function + "\n")
		if !more {
			return b.String()
		}
	}
}
