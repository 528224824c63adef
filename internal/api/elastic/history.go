package elastic

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// reported is the type of the jobs that _last_sync tells of. They stand in the history of
// the project like any other, so that lateness and metrics go by them, and are no sync
// jobs.
const reported = "last_sync"

// telling are the fields of _last_sync that speak of a sync that began or ended; the others
// keep a place, or say when the next is due.
var telling = []string{
	"last_synced", "last_sync_status", "last_sync_error", "last_indexed_document_count", "last_deleted_document_count",
}

func mentions(set map[string]any, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, told := set[name]; return told })
}

// lastExt is what is kept beside such a job: what it is told by. The document of a
// connector holds the times of syncs before, too, until the one that runs tells its own.
type lastExt struct {
	Synced      string `json:"last_synced,omitempty"`
	Scheduled   string `json:"last_sync_scheduled_at,omitempty"`
	Incremental string `json:"last_incremental_sync_scheduled_at,omitempty"`
	// Before is the last_synced of the sync before.
	Before string `json:"before,omitempty"`
}

// synced is when the sync itself says that it ended; empty: it has not said.
func (e lastExt) synced() string {
	if e.Synced == e.Before {
		return ""
	}
	return e.Synced
}

// due is the later of the schedules, that of the sync which runs; zero: none was told.
func (e lastExt) due() (due time.Time) {
	for _, at := range []string{e.Scheduled, e.Incremental} {
		if t, ok := parseDate(at); ok && t.After(due) {
			due = t
		}
	}
	return due
}

func lastExtOf(doc document, before string) lastExt {
	return lastExt{doc.text("last_synced"), doc.text("last_sync_scheduled_at"), doc.text("last_incremental_sync_scheduled_at"), before}
}

// tellHistory records the sync that a connector tells of: reports of one sync are one job.
// doc is the document that the report made; what is recorded is the one that is stored by
// then. It looks again once it has written: of reports made at once, one that read first
// may write last.
func (a *API) tellHistory(c *call, doc document, set map[string]any) error {
	if !mentions(set, telling...) {
		return nil
	}
	var id task.JobID
	var told []byte
	for range 16 { // those who change it all the time tell of it, too
		n, err := a.control.Connector(c.Context(), c.who, c.id)
		if err == nil && bytes.Equal(n.Doc, told) || task.KindOf(err) == task.NotFound && err != nil {
			return nil
		}
		if err != nil {
			return err
		}
		now, err := decodeDocument(n.Doc)
		if err != nil {
			return internal(c.Context(), a.log, err)
		}
		last, err := a.lastTold(c)
		switch {
		case err != nil:
			return err
		case told != nil && (last.ID != id || !sameSync(last, now, nil)):
			return nil // the next sync has begun
		case told != nil || last.ID != "" && (sameSync(last, doc, set) || sameSync(last, now, set)):
			id, err = last.ID, a.retell(c, last.ID, now)
		default:
			id, err = a.tell(c, now, n.Name, last)
		}
		if err != nil {
			return err
		}
		told = n.Doc
	}
	return nil
}

// lastTold is the latest job that the connector of a call told of; without an id when there
// is none.
func (a *API) lastTold(c *call) (j history.ExternalJob, err error) {
	recent, _, err := a.control.ExternalJobs(c.Context(), c.who,
		history.ExternalFilter{Origin: task.Elastic, Subject: c.id, Types: []string{reported}}, 0, 1)
	if err == nil && len(recent) == 1 {
		j = recent[0]
	}
	return j, err
}

// tell begins a job that follows the last.
func (a *API) tell(c *call, doc document, name string, last history.ExternalJob) (task.JobID, error) {
	was := toldBy(last)
	key := lastExtOf(doc, was.Synced)
	next := history.ExternalJob{Job: task.Job{StartedAt: a.startOf(key, was, lastState(doc))}}
	a.recordLast(&next, doc, key)
	id := lastID(c, key, next.State, last.ID)
	_, err := a.control.ReportExternal(c.Context(), c.who, history.ExternalReport{
		ID: id, Subject: c.id, Name: name, Type: reported, Status: next.Status, State: next.State, Counts: next.Counts,
		StartedAt: next.StartedAt, EndedAt: next.EndedAt, Why: next.Why, Ext: next.Ext[task.Elastic],
	})
	if task.KindOf(err) == task.Conflict { // the same report, told twice at once or again later
		err = a.retell(c, id, doc)
	}
	return id, err
}

// startOf is when a sync began: when it was scheduled, if the one before was not by the same
// schedule. Else it begins now, or its end is all that is known of it.
func (a *API) startOf(key, was lastExt, state task.JobState) (start time.Time) {
	for _, at := range [][2]string{{key.Scheduled, was.Scheduled}, {key.Incremental, was.Incremental}} {
		if t, ok := parseDate(at[0]); ok && at[0] != at[1] && t.After(start) {
			start = t
		}
	}
	if start.IsZero() && state.Ended() {
		start, _ = parseDate(key.synced())
	}
	if start.IsZero() {
		start = a.now()
	}
	return start.Truncate(time.Microsecond)
}

// toldBy is what a job was told by; nothing when there is none.
func toldBy(j history.ExternalJob) (was lastExt) {
	if json.Unmarshal(j.Ext[task.Elastic], &was) != nil { // it is of our own making
		return lastExt{}
	}
	return was
}

func (a *API) retell(c *call, id task.JobID, doc document) error {
	_, err := a.control.UpdateExternal(c.Context(), c.who, id, func(j *history.ExternalJob) error {
		a.recordLast(j, doc, lastExtOf(doc, toldBy(*j).Before))
		return nil
	})
	return err
}

// sameSync says whether a report is about the sync of an earlier one:
//
//	earlier    the report                                       same
//	runs       also runs, by a later schedule                   no
//	runs       anything else                                    yes
//	ended      runs                                             no
//	ended      has the same times                               yes
//	ended      mentions neither last_synced nor the status      yes: it corrects
//	ended      has the first last_synced, and no status         yes: it completes
//	ended      anything else                                    no
func sameSync(j history.ExternalJob, doc document, set map[string]any) bool {
	was := toldBy(j)
	key := lastExtOf(doc, was.Before)
	ends := lastState(doc).Ended()
	if !j.State.Ended() {
		began := was.due()
		return ends || !mentions(set, "last_sync_status") || began.IsZero() || !key.due().After(began)
	}
	status := mentions(set, "last_sync_status")
	return ends && (was == key || !status && !mentions(set, "last_synced") || !status && was.synced() == "")
}

// lastState is what the history calls the state that a connector's document tells.
func lastState(doc document) task.JobState {
	if s, told := jobStates[doc.text("last_sync_status")]; told {
		return s
	}
	if doc.text("last_sync_error") != "" {
		return task.JobFailed
	}
	return task.JobDone
}

// lastWords are the words for states that no status was told of.
var lastWords = map[task.JobState]string{task.JobFailed: "error", task.JobDone: "completed"}

// recordLast fills a job of the history with what a connector's document tells, by these
// times.
func (a *API) recordLast(j *history.ExternalJob, doc document, key lastExt) {
	j.Type, j.State, j.Status, j.Why = reported, lastState(doc), doc.text("last_sync_status"), ""
	if j.Status == "" {
		j.Status = lastWords[j.State]
	}
	if j.State != task.JobDone {
		j.Why = doc.text("last_sync_error")
	}
	j.Counts = documents(doc.count("last_indexed_document_count"), doc.count("last_deleted_document_count"))
	was := j.EndedAt
	j.EndedAt = time.Time{}
	if j.State.Ended() {
		if t, ok := parseDate(key.synced()); ok {
			j.EndedAt = t.Truncate(time.Microsecond)
		} else if j.EndedAt = was; was.IsZero() {
			j.EndedAt = a.now().Truncate(time.Microsecond)
		}
	}
	if j.State.Ended() && j.StartedAt.After(j.EndedAt) { // the clocks of two machines, or a report long after
		j.StartedAt = j.EndedAt
	}
	raw, err := json.Marshal(key)
	if err != nil { // texts encode
		raw = []byte("{}")
	}
	j.Ext = map[task.Dialect][]byte{task.Elastic: raw}
}

// lastID is the id of the job that a report tells of: the same for the same report. One
// that runs may have the times of the sync before; it is known by following it.
func lastID(c *call, key lastExt, state task.JobState, last task.JobID) task.JobID {
	ended := "runs after " + string(last)
	if state.Ended() {
		ended = "ended"
	}
	h := sha256.New()
	for _, part := range []string{string(c.who.Project), c.id, key.Synced, key.Scheduled, key.Incremental, ended} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return task.JobID(strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16])))
}

// expectAgain does expect for the connector of a call as it is now stored.
func (a *API) expectAgain(c *call, id string) error {
	n, err := a.control.Connector(c.Context(), c.who, id)
	if task.KindOf(err) == task.NotFound && err != nil || err == nil && n.Deleted {
		return nil
	}
	if err != nil {
		return err
	}
	return a.expect(c, n)
}

// expect tells lateness how often a connector is to sync: by its enabled schedules that
// index documents, the most frequent of them.
func (a *API) expect(c *call, n history.Connector) error {
	doc, err := decodeDocument(n.Doc)
	if err != nil {
		return internal(c.Context(), a.log, err)
	}
	var every time.Duration
	for _, name := range []string{fullSync, incrementalSync} {
		s := doc.object("scheduling").object(name)
		if enabled, _ := s["enabled"].(bool); !enabled {
			continue
		}
		if cron, err := parseCron(s.text("interval")); err == nil {
			if d := cron.every(a.now()); d > 0 && (every == 0 || d < every) {
				every = d
			}
		}
	}
	return a.control.ExpectExternal(c.Context(), c.who, n.ID, n.Name, every)
}
