package didspaces

import (
	"errors"
	"io"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// statuses is the only table from kinds of error to HTTP. The client repeats what is
// answered 408, 413, 429 or 5xx, so nothing that is its fault is.
var statuses = map[task.Kind]int{
	task.Internal:    http.StatusInternalServerError,
	task.Invalid:     http.StatusBadRequest,
	task.NotFound:    http.StatusNotFound,
	task.Conflict:    http.StatusBadRequest,
	task.Denied:      http.StatusForbidden,
	task.Unavailable: http.StatusServiceUnavailable,
}

// exceptions are codes for which HTTP has a status of its own.
var exceptions = map[string]int{
	codeUnauthenticated: http.StatusUnauthorized,
	codeMethod:          http.StatusMethodNotAllowed,
}

const codeMethod = "METHOD_NOT_ALLOWED"

func invalid(code, text, next string) error {
	return &task.Error{Kind: task.Invalid, Code: code, Text: text, Next: next}
}

// refuse sends an error as text, which is all that the client shows of one: what is
// wrong, what to do, the code, the request. A newline at the end would be shown too.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	kind := task.KindOf(err)
	status, code, text := statuses[kind], "INTERNAL", "something went wrong here; the log says what"
	var e *task.Error
	errors.As(err, &e)
	if kind != task.Internal {
		text, code = e.Error(), e.Code
		if e.Next != "" {
			text += ": " + e.Next
		}
		if s, ok := exceptions[code]; ok {
			status = s
		}
	}
	api.LogRefusal(r.Context(), a.log, err)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+" ("+code+", request "+api.RequestID(r.Context())+")")
}
