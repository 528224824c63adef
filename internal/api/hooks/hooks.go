// Package hooks is where object stores tell of changes: POST /hooks/s3/{token}, or
// /hooks/s3 with the token as Authorization: Bearer. It reads what AWS, EventBridge, MinIO,
// Ceph and versitygw send, and hands it to control as events of the token's task. A token
// opens nothing else.
package hooks

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Root begins all paths of the hooks.
const Root = "/hooks/s3"

// Mask is the path that logs show: without the token.
func Mask(path string) string {
	if len(path) > len(Root)+1 {
		return Root + "/***"
	}
	return path
}

// Config is what a Handler works with.
type Config struct {
	Control *control.Control
	Log     *slog.Logger // nil: none
}

// Handler answers stores.
type Handler struct {
	control *control.Control
	log     *slog.Logger
}

// New returns a Handler. It starts nothing.
func New(cfg Config) *Handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{control: cfg.Control, log: cfg.Log}
}

// maxBody bounds a body: a hundred times what AWS puts into a message.
const maxBody = 8 << 20

// bodyTime is how long a store may take to send a body.
const bodyTime = 30 * time.Second

// Answer is what a store is told; it is for people who look at its log.
type Answer struct {
	Accepted    int    `json:"accepted"`
	OtherBucket int    `json:"skipped_other_bucket,omitempty"`
	OtherPrefix int    `json:"skipped_other_prefix,omitempty"`
	Skipped     int    `json:"skipped_not_syncable,omitempty"`
	Reads       int    `json:"skipped_reads,omitempty"`
	Note        string `json:"note,omitempty"`
}

// ServeHTTP implements http.Handler. Whoever has no token learns nothing: all such requests
// have one answer, before the body is read. HEAD, GET and OPTIONS with a token say that
// somebody is here: MinIO asks before it sends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k, err := h.control.HookTask(r.Context(), token(r))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		answer(w, http.StatusOK, Answer{Note: "send S3 event notifications of bucket " + k.Source.Bucket + " here"})
		return
	default:
		w.Header().Set("Allow", "POST")
		h.refuse(w, r, &task.Error{Kind: task.Invalid, Code: codeMethod, Text: "notifications are sent by POST"})
		return
	}
	p, err := h.read(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	heard, err := h.control.AcceptChanges(r.Context(), k, p.Changes)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	a := Answer{Accepted: heard.Keys, OtherBucket: heard.OtherBucket, OtherPrefix: heard.OtherPrefix, Skipped: heard.Skipped, Reads: p.Reads}
	if heard.OtherBucket > 0 {
		a.Note = "the task follows bucket " + k.Source.Bucket
		h.log.InfoContext(r.Context(), "notifications of another bucket", "task", k.ID, "records", heard.OtherBucket, "request", api.RequestID(r.Context()))
	}
	if p.Tests > 0 {
		a.Note = "the test event has arrived"
		h.log.InfoContext(r.Context(), "a store sent a test event", "task", k.ID, "request", api.RequestID(r.Context()))
	}
	answer(w, http.StatusOK, a)
}

// token returns the token of a request, by its path or its header.
func token(r *http.Request) string {
	if t, ok := strings.CutPrefix(r.URL.EscapedPath(), Root+"/"); ok {
		return t
	}
	scheme, t, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(t)
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request) (Parsed, error) {
	deadlines := http.NewResponseController(w)
	// Where there are no deadlines the server's own hold.
	_ = deadlines.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = deadlines.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return Parsed{}, &task.Error{Kind: task.Invalid, Code: codeTooLarge, Text: "the notification is larger than 8 MiB", Next: "send fewer records at once"}
	case err != nil:
		return Parsed{}, &task.Error{Kind: task.Invalid, Code: "BODY_CUT_SHORT", Text: "the body ended early", Next: "send it again", Err: err}
	}
	if err := control.CheckJSON(body); err != nil {
		return Parsed{}, &task.Error{Kind: task.Invalid, Code: "BAD_JSON", Text: "the notification is no UTF-8: " + err.Error(), Next: "send UTF-8"}
	}
	p, err := parse(body)
	if err != nil {
		return p, &task.Error{Kind: task.Invalid, Code: "BAD_NOTIFICATION", Text: "the notification cannot be read", Next: "see docs/triggers.md for what is", Err: err}
	}
	return p, nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
