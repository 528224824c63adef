package elastic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// exception is an error as Elasticsearch answers it.
type exception struct {
	status int
	kind   string // its type, e.g. "status_exception"
	reason string
	cause  *exception // what caused_by says; nil: nothing
	allow  []string   // methods, for a path that does not take this one
	bare   bool       // the answer has the reason alone, as text
}

func (e *exception) Error() string { return e.reason }

// challenges are the ways to authenticate that a 401 names.
var challenges = []string{`Basic realm="security", charset="UTF-8"`, `Bearer realm="security"`, "ApiKey"}

// The kinds that this dialect raises itself.

func illegalArgument(format string, args ...any) *exception {
	return &exception{status: http.StatusBadRequest, kind: "illegal_argument_exception", reason: fmt.Sprintf(format, args...)}
}

// badState is a rule that the stored state breaks.
func badState(format string, args ...any) *exception {
	return &exception{status: http.StatusBadRequest, kind: "status_exception", reason: fmt.Sprintf(format, args...)}
}

// notValid is what request validation says, numbered.
func notValid(messages ...string) *exception {
	var b strings.Builder
	b.WriteString("Validation Failed: ")
	for i, m := range messages {
		fmt.Fprintf(&b, "%d: %s;", i+1, m)
	}
	return &exception{status: http.StatusBadRequest, kind: "action_request_validation_exception", reason: b.String()}
}

func missing(reason string) *exception {
	return &exception{status: http.StatusNotFound, kind: "resource_not_found_exception", reason: reason}
}

func missingConnector(id string) *exception { return missing("connector [" + id + "] not found") }

// missingDocument is what updates answer that write without reading.
func missingDocument(id string) *exception {
	return &exception{status: http.StatusNotFound, kind: "document_missing_exception", reason: "[" + id + "]: document missing"}
}

func unauthorized(reason string) *exception {
	return &exception{status: http.StatusUnauthorized, kind: "security_exception", reason: reason}
}

// kinds is the only table from kinds of error to statuses and types.
var kinds = map[task.Kind]struct {
	status int
	kind   string
}{
	task.Internal:    {http.StatusInternalServerError, "exception"},
	task.Invalid:     {http.StatusBadRequest, "illegal_argument_exception"},
	task.NotFound:    {http.StatusNotFound, "resource_not_found_exception"},
	task.Conflict:    {http.StatusBadRequest, "status_exception"},
	task.Denied:      {http.StatusForbidden, "security_exception"},
	task.Unavailable: {http.StatusServiceUnavailable, "unavailable_shards_exception"},
}

// render makes an exception of any error. f says who asked what, for a refusal. What is
// Internal goes to the log, not to the client.
func render(ctx context.Context, log *slog.Logger, f format, err error) *exception {
	if x, ok := errors.AsType[*exception](err); ok {
		return x
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &exception{status: http.StatusRequestEntityTooLarge, kind: "content_too_long_exception", reason: "the request body is too large"}
	}
	kind := task.KindOf(err)
	row := kinds[kind]
	x := &exception{status: row.status, kind: row.kind, reason: "something went wrong here; the log says what"}
	e, _ := errors.AsType[*task.Error](err)
	api.LogRefusal(ctx, log, err)
	switch {
	case kind == task.Internal && ctx.Err() != nil:
		x.reason = "the client went away"
	case kind == task.Internal:
	case e.Code == control.CodeBadCredentials:
		return unauthorized("unable to authenticate with provided credentials and anonymous access is not allowed for this request")
	case e.Code == control.CodeRateLimited:
		x.status, x.kind, x.reason = http.StatusTooManyRequests, "es_rejected_execution_exception", sentence(e)
	case e.Code == control.CodeRoleDenied:
		x.reason = "action [" + f.action + "] is unauthorized for user [" + f.user + "]: " + sentence(e)
	default:
		x.reason = sentence(e)
	}
	return x
}

// sentence is an error's text with its advice.
func sentence(e *task.Error) string {
	if e.Next == "" {
		return e.Error()
	}
	return e.Error() + "; " + e.Next
}

// body is what the client gets.
func (e *exception) body() map[string]any {
	if e.bare {
		return map[string]any{"error": e.reason}
	}
	one := func(x *exception) map[string]any {
		m := map[string]any{"type": x.kind, "reason": x.reason}
		if x.status == http.StatusUnauthorized {
			m["header"] = map[string]any{"WWW-Authenticate": challenges}
		}
		return m
	}
	all := one(e)
	all["root_cause"] = []any{one(e)}
	for to, c := all, e.cause; c != nil; c = c.cause {
		next := map[string]any{"type": c.kind, "reason": c.reason}
		to["caused_by"], to = next, next
	}
	return map[string]any{"error": all, "status": e.status}
}
