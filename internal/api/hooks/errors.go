package hooks

import (
	"errors"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// statuses is the only table from kinds of error to HTTP. Stores try again after all but
// a 2xx; those that try for ever do so until the operator sees it.
var statuses = map[task.Kind]int{
	task.Internal:    http.StatusInternalServerError,
	task.Invalid:     http.StatusBadRequest,
	task.NotFound:    http.StatusNotFound,
	task.Conflict:    http.StatusConflict,
	task.Denied:      http.StatusForbidden,
	task.Unavailable: http.StatusServiceUnavailable,
}

const (
	codeMethod   = "METHOD_NOT_ALLOWED"
	codeTooLarge = "BODY_TOO_LARGE"
)

// problem is an error as stores get it (RFC 9457).
type problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Next      string `json:"next,omitempty"`
	RequestID string `json:"request_id"`
}

// refuse answers err. What is Internal goes to the log, not to the store.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	kind := task.KindOf(err)
	p := problem{Status: statuses[kind], Code: "INTERNAL", Detail: "something went wrong here; the log says what", RequestID: api.RequestID(ctx)}
	var e *task.Error
	if errors.As(err, &e) && kind != task.Internal {
		p.Code, p.Detail, p.Next = e.Code, e.Error(), e.Next
	}
	api.LogRefusal(ctx, h.log, err)
	switch p.Code {
	case codeMethod:
		p.Status = http.StatusMethodNotAllowed
	case codeTooLarge:
		p.Status = http.StatusRequestEntityTooLarge
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	p.Title = http.StatusText(p.Status)
	answer(w, p.Status, p)
}
