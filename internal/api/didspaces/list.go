package didspaces

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// listAnswer is a page.
type listAnswer struct {
	rows       []entry
	total      int64
	page, size int
}

// parts write a page in every shape that is read: rows by the client's UI, data, total,
// page and size by its documentation, count by habit. The rows, which may be long, are in
// memory once.
func (l listAnswer) parts() ([][]byte, error) {
	rows, err := encode(l.rows)
	if err != nil {
		return nil, err
	}
	figures := fmt.Sprintf(`,"count":%d,"total":%d,"page":%d,"size":%d}`, l.total, l.total, l.page, l.size)
	return [][]byte{[]byte(`{"rows":`), rows, []byte(`,"data":`), rows, []byte(figures)}, nil
}

// query is what a list request asks for.
type query struct {
	page, size int
	filter     history.ExternalFilter
	none       bool // only of actions that are not recorded here
}

const (
	defaultSize = 10
	maxSize     = 100
)

// list answers a page of an app's entries and of the jobs that Lockstep does in its
// project.
func (a *API) list(r *http.Request, who visitor) (any, error) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	answer := listAnswer{rows: []entry{}, page: q.page, size: q.size}
	if !q.none {
		q.filter.Origin, q.filter.Subject, q.filter.Managed, q.filter.StatusWord = task.DIDSpaces, who.app.DID, true, wordOf
		from := q.page * q.size
		jobs, total, err := a.control.ExternalJobs(r.Context(), who.Caller, q.filter, from, min(q.size, history.MaxExternalRow-from))
		if err != nil {
			return nil, err
		}
		answer.total = total
		if answer.rows, err = a.entries(r.Context(), who, jobs); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// parseQuery reads the query of a list. Parameters that are not known are ignored; a
// known one without a value is as good as none.
func parseQuery(raw string) (q query, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, invalid("BAD_QUERY", "the query cannot be read", "use the official client")
	}
	if q.size, err = whole(values, "size", defaultSize, 1); err != nil {
		return q, err
	}
	q.size = min(q.size, maxSize)
	if q.page, err = whole(values, "page", 0, 0); err != nil {
		return q, err
	}
	if q.page >= (history.MaxExternalRow+q.size-1)/q.size { // the last page may be shorter
		return q, &task.Error{
			Kind: task.Invalid, Code: control.CodePageTooFar, Text: "page is beyond the first " + strconv.Itoa(history.MaxExternalRow) + " rows, which a list gives",
			Next: "narrow the list by status, or turn its order around",
		}
	}
	if err := q.order(values); err != nil {
		return q, err
	}
	return q, q.narrow(values)
}

// order reads sort and order. Without a sort a list begins with the newest, whatever the
// order says: the client sends order=0 along.
func (q *query) order(values url.Values) error {
	field, order := values.Get("sort"), values.Get("order")
	sort, ok := sorts[field]
	if !ok {
		return badParameter("sort", "must be createdAt, updatedAt, status or actionType")
	}
	q.filter.Sort = sort
	switch strings.ToLower(order) {
	case "", "0", "asc":
		q.filter.Ascending = field != ""
	case "1", "desc":
	default:
		return badParameter("order", "must be 0 (ascending) or 1 (descending)")
	}
	return nil
}

// narrow reads status and actionType, each of which may be repeated.
func (q *query) narrow(values url.Values) error {
	for _, word := range values["status"] {
		if word == "" {
			continue
		}
		p, ok := parseStatus(word)
		if !ok {
			return badParameter("status", mustBeStatus)
		}
		for _, s := range storedWords(p.word) {
			if !slices.Contains(q.filter.Statuses, s) {
				q.filter.Statuses = append(q.filter.Statuses, s)
			}
		}
	}
	some, ours := false, false
	for _, word := range values["actionType"] {
		if word == "" {
			continue
		}
		if !slices.Contains(actions, word) {
			return badParameter("actionType", "must be one of "+strings.Join(actions, ", "))
		}
		some, ours = true, ours || word == action
	}
	q.none = some && !ours
	return nil
}

func badParameter(name, must string) error {
	return invalid(codeField, name+" "+must, "leave it out, or send what the official client sends")
}

// whole reads a whole number of at least least.
func whole(values url.Values, name string, absent, least int) (int, error) {
	text := values.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < least {
		return 0, badParameter(name, "must be a whole number from "+strconv.Itoa(least)+" on")
	}
	return int(n), nil
}

// entries renders the jobs of a page.
func (a *API) entries(ctx context.Context, who visitor, jobs []history.ExternalJob) ([]entry, error) {
	out := make([]entry, 0, len(jobs))
	tasks := map[task.ID]task.Task{}
	for _, j := range jobs {
		if !j.Managed() {
			e, err := entryOf(j, who.app)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
			continue
		}
		k, ok := tasks[j.Task]
		if !ok {
			var err error
			if k, err = a.control.Task(ctx, who.Caller, string(j.Task)); err != nil && task.KindOf(err) != task.NotFound {
				return nil, err
			}
			tasks[j.Task] = k // the zero task: it was deleted
		}
		out = append(out, managedEntry(j, k))
	}
	return out, nil
}

// managedMetadata is what the five figures have no place for.
type managedMetadata struct {
	Kind    task.JobKind `json:"kind"`
	Task    string       `json:"task"`
	Ignored int64        `json:"ignored"`
	Pending int64        `json:"pending"`
}

// managedEntry renders a job that Lockstep does.
func managedEntry(j history.ExternalJob, k task.Task) entry {
	name, at := k.Name, places{placeOf(k.Source), placeOf(k.Destination)}
	if k.ID == "" {
		name, at = "deleted task "+string(j.Task), places{"deleted task " + string(j.Task), "deleted task " + string(j.Task)}
	}
	metadata, _ := json.Marshal(managedMetadata{j.Kind, name, j.Counts.Ignored, j.Counts.Pending()}) // text and numbers: it cannot fail
	e := entry{
		ID: string(j.ID), EntityID: string(j.Task), EntityName: name, ActionType: action, UserID: "lockstep", Username: "Lockstep",
		Status: wordOf(j.Status), Reason: reasonOf(j), CreatedAt: isoTime(j.StartedAt), UpdatedAt: isoTime(j.ChangedAt),
		Data: entryData{
			AppName: "Lockstep", AppDescription: "a job that Lockstep does", places: at, Metadata: metadata,
			figures: figures{
				TotalCount: j.Counts.Requested, ErrorCount: j.Counts.Failed, SuccessCount: j.Counts.Synced, Size: j.Counts.Bytes,
			},
		},
	}
	if !j.EndedAt.IsZero() {
		e.Data.Duration = float64(j.EndedAt.Sub(j.StartedAt).Microseconds()) / 1000
	}
	return e
}

// placeOf writes a place as the command line does.
func placeOf(l task.Location) string {
	return strings.ToValidUTF8(string(l.Endpoint)+":"+l.Bucket+"/"+l.Prefix, "\uFFFD")
}

func reasonOf(j history.ExternalJob) string {
	switch {
	case j.Why != "":
		return j.Why
	case j.EndedAt.IsZero() || j.Counts.Failed == 0:
		return ""
	case j.Counts.Failed == 1:
		return "1 object failed"
	}
	return strconv.FormatInt(j.Counts.Failed, 10) + " objects failed"
}
