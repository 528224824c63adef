package native

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// statuses is the only table from kinds of error to HTTP: the status, and the code of
// errors that have none of their own.
var statuses = map[task.Kind]struct {
	status int
	code   string
}{
	task.Internal:    {http.StatusInternalServerError, "INTERNAL"},
	task.Invalid:     {http.StatusBadRequest, "INVALID"},
	task.NotFound:    {http.StatusNotFound, "NOT_FOUND"},
	task.Conflict:    {http.StatusConflict, "CONFLICT"},
	task.Denied:      {http.StatusForbidden, "DENIED"},
	task.Unavailable: {http.StatusServiceUnavailable, "UNAVAILABLE"},
}

// exceptions are codes for which HTTP has a status of its own.
var exceptions = map[string]int{
	control.CodeBadCredentials: http.StatusUnauthorized,
	control.CodeRateLimited:    http.StatusTooManyRequests,
	codeTooLarge:               http.StatusRequestEntityTooLarge,
	codeMethod:                 http.StatusMethodNotAllowed,
	codeMediaType:              http.StatusUnsupportedMediaType,
}

const (
	codeTooLarge  = "BODY_TOO_LARGE"
	codeMethod    = "METHOD_NOT_ALLOWED"
	codeMediaType = "UNSUPPORTED_MEDIA_TYPE"
)

// Problem is an error as clients get it (RFC 9457).
type Problem struct {
	Title     string   `json:"title" doc:"What the status means"`
	Status    int      `json:"status" doc:"HTTP status"`
	Code      string   `json:"code" doc:"Stable code, e.g. TASK_NOT_FOUND"`
	Detail    string   `json:"detail" doc:"What is wrong, in a sentence"`
	Next      string   `json:"next,omitempty" doc:"What to do about it"`
	RequestID string   `json:"request_id" doc:"To be named when asking for help"`
	Fields    []string `json:"fields,omitempty" doc:"Parts of the request that are wrong; values are not repeated"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Basic realm="lockstep", charset="UTF-8"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	return h
}

// problem renders err. What is Internal goes to the log, not to the client.
func problem(ctx context.Context, log *slog.Logger, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	kind := task.KindOf(err)
	row := statuses[kind]
	p = &Problem{Status: row.status, Code: row.code, Detail: "something went wrong here; the log says what", RequestID: api.RequestID(ctx)}
	var e *task.Error
	errors.As(err, &e)
	switch {
	case kind == task.Internal && ctx.Err() != nil:
		p.Detail = "the client went away"
	case kind == task.Internal:
	default:
		p.Detail, p.Next = e.Error(), e.Next
		if e.Code != "" {
			p.Code = e.Code
		}
	}
	api.LogRefusal(ctx, log, err)
	if s, ok := exceptions[p.Code]; ok {
		p.Status = s
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// write sends a problem without huma.
func (p *Problem) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client went away
}

// huma asks these for its own errors. They are variables of its package: no other
// package of Lockstep uses huma.
func init() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		return humaProblem(api.RequestID(ctx.Context()), status, errs)
	}
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError {
		return humaProblem("", status, errs)
	}
}

// humaProblem renders what huma found wrong with a request. It leaves out the values
// that huma repeats: some are secrets.
func humaProblem(request string, status int, errs []error) *Problem {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	p := &Problem{Status: status, Code: "BAD_REQUEST", Detail: "the request is not as the OpenAPI document says", RequestID: request}
	switch {
	case status == http.StatusUnsupportedMediaType:
		p.Code, p.Detail, p.Next = codeMediaType, "the body is no JSON by its Content-Type", "send application/json"
	case status == http.StatusRequestEntityTooLarge:
		p.Code, p.Detail, p.Next = codeTooLarge, "the body is too large", "send it in parts"
	case status >= http.StatusInternalServerError:
		p.Code, p.Detail = "INTERNAL", "something went wrong here; the log says what"
	default:
		p.Next = "see /api/v1/openapi.json"
		for _, err := range errs {
			if d, ok := err.(huma.ErrorDetailer); ok && d.ErrorDetail() != nil {
				p.Fields = append(p.Fields, d.ErrorDetail().Location+": "+d.ErrorDetail().Message)
			}
		}
		slices.Sort(p.Fields)
	}
	p.Title = http.StatusText(p.Status)
	return p
}
