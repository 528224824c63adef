package oms

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Codes of requests that never reach control.
const (
	codeNoPath    = "PATH_NOT_FOUND"
	codeMethod    = "METHOD_NOT_ALLOWED"
	codeTooLarge  = "BODY_TOO_LARGE"
	codeNoProject = "NO_PROJECT_ID"

	codeJSON        = "BAD_JSON"
	codeType        = "BAD_TYPE"
	codeConstraint  = "BAD_VALUE"
	codeMissing     = "MISSING_PARAMETER"
	codeLimit       = "BAD_LIMIT"
	codeState       = "BAD_STATE_FILTER"
	codeDescription = "BAD_DESCRIPTION_CHARACTERS"
	codeSrcRegion   = "SOURCE_REGION_UNKNOWN"
	codeDstRegion   = "DESTINATION_REGION_UNKNOWN"
	codeSource      = "SOURCE_REFUSED"
	codeDestination = "DESTINATION_REFUSED"
	codeStarted     = "ALREADY_STARTED"
	codeNotStarted  = "NOT_STARTED"
	codeBuckets     = "BUCKETS_NOT_LISTED"
	codeObjects     = "OBJECTS_NOT_LISTED"
	codeRegion      = "REGION_NOT_FOUND"
	codeVersion     = "VERSION_UNKNOWN"
)

// row is what OMS answers.
type row struct {
	status int
	code   string
}

// kinds is the table from kinds of error to OMS's answer, for errors whose code is not in
// codes.
var kinds = map[task.Kind]row{
	task.Internal:    {http.StatusInternalServerError, "OMS.1001"},
	task.Invalid:     {http.StatusBadRequest, "OMS.0064"},
	task.NotFound:    {http.StatusNotFound, "OMS.1009"},
	task.Conflict:    {http.StatusBadRequest, "OMS.0064"},
	task.Denied:      {http.StatusForbidden, "OMS.0072"},
	task.Unavailable: {http.StatusServiceUnavailable, "OMS.1001"},
}

// codes are the errors for which OMS, or the gateway in front of it, has a code.
var codes = map[string]row{
	control.CodeBadCredentials: {http.StatusUnauthorized, "APIGW.0301"},
	control.CodeRateLimited:    {http.StatusTooManyRequests, "APIGW.0308"},
	codeNoPath:                 {http.StatusNotFound, "APIGW.0101"},
	codeMethod:                 {http.StatusMethodNotAllowed, "OMS.1008"},
	codeTooLarge:               {http.StatusRequestEntityTooLarge, "OMS.1003"},
	codeNoProject:              {http.StatusBadRequest, "OMS.1004"},

	codeJSON:        {http.StatusBadRequest, "OMS.1006"},
	codeType:        {http.StatusBadRequest, "OMS.1002"},
	codeConstraint:  {http.StatusBadRequest, "OMS.1003"},
	codeMissing:     {http.StatusBadRequest, "OMS.1004"},
	codeLimit:       {http.StatusBadRequest, "OMS.0051"},
	codeState:       {http.StatusBadRequest, "OMS.0052"},
	codeDescription: {http.StatusBadRequest, "OMS.0078"},
	codeSrcRegion:   {http.StatusBadRequest, "OMS.0079"},
	codeDstRegion:   {http.StatusBadRequest, "OMS.0080"},
	codeSource:      {http.StatusBadRequest, "OMS.0057"},
	codeDestination: {http.StatusBadRequest, "OMS.0058"},
	codeStarted:     {http.StatusBadRequest, "OMS.0065"},
	codeNotStarted:  {http.StatusBadRequest, "OMS.0066"},
	codeBuckets:     {http.StatusBadRequest, "OMS.0153"},
	codeObjects:     {http.StatusBadRequest, "OMS.0151"},
	codeRegion:      {http.StatusBadRequest, "OMS.0155"},
	codeVersion:     {http.StatusNotFound, "OMS.0256"},

	control.CodeCDN:        {http.StatusBadRequest, "OMS.0081"},
	control.CodeCDNHost:    {http.StatusBadRequest, "OMS.0081"},
	control.CodeCDNRefused: {http.StatusBadRequest, "OMS.0081"},
	control.CodeCDNKey:     {http.StatusBadRequest, "OMS.1032"},

	control.CodeTooManyTasks:    {http.StatusBadRequest, "OMS.0077"},
	control.CodeSourceKeys:      {http.StatusBadRequest, "OMS.0057"},
	control.CodeDestinationKeys: {http.StatusBadRequest, "OMS.0058"},
	control.CodeNotRunning:      {http.StatusBadRequest, "OMS.1036"}, // events for a stopped task
	control.CodeRunning:         {http.StatusBadRequest, "OMS.0063"}, // delete of a running one
	"SOURCE_IS_DESTINATION":     {http.StatusBadRequest, "OMS.0058"},
	"DESTINATION_OVERLAPS":      {http.StatusBadRequest, "OMS.0058"},
	"BAD_BUCKET":                {http.StatusBadRequest, "OMS.1003"},
	"ENCRYPTION_UNSUPPORTED":    {http.StatusBadRequest, "OMS.1003"},
}

// failure is the body of an error. The order of its members is free.
type failure struct {
	Code    string `json:"error_code"`
	Message string `json:"error_msg"`
	Request string `json:"request_id,omitempty"`
}

func asTaskError(err error) (*task.Error, bool) { return errors.AsType[*task.Error](err) }

// refuse answers with an error. What is Internal goes to the log, not to the client.
func (a *API) refuse(ctx context.Context, r *request, err error) {
	kind := task.KindOf(err)
	answer := kinds[kind]
	text := "an internal error occurred; the log of the service says which"
	switch e, ok := asTaskError(err); {
	case kind == task.Internal && ctx.Err() != nil:
		text = "the client went away"
	case ok && kind != task.Internal:
		if known, ok := codes[e.Code]; ok {
			answer = known
		}
		text = e.Error()
		if e.Next != "" {
			text += "; " + e.Next
		}
	}
	api.LogRefusal(ctx, a.log, err)
	h := r.w.Header()
	if answer.status == http.StatusTooManyRequests || answer.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if answer.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", algorithm)
	}
	// Invalid UTF-8 of a client must not make the body something no client parses.
	writeJSON(r.w, answer.status, failure{answer.code, strings.ToValidUTF8(text, "\uFFFD"), api.RequestID(ctx)})
}

// writeJSON answers with an object, or an array.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error_code":"OMS.1001","error_msg":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away
}

// writeNothing answers the calls whose answer has no model: 200 with an empty body.
func writeNothing(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
