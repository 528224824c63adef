package elastic

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// jobBecomes says which state of a job may follow which. Cancelling and failing go by it;
// claiming does not.
var jobBecomes = map[string][]string{
	"pending":     {"in_progress", "canceled"},
	"in_progress": {"canceling", "completed", "suspended", "error"},
	"suspended":   {"in_progress", "canceled"},
	"canceling":   {"canceled", "error"},
}

func badJobState(now, next string) *exception {
	return badState("Invalid transition attempt from [%s] to [%s]. Such a ConnectorSyncStatus transition is not supported by the Connector Protocol.", now, next)
}

// jobStates are what Lockstep's history calls the states of a job.
var jobStates = map[string]task.JobState{
	"pending": task.JobOpen, "suspended": task.JobOpen, "in_progress": task.JobOpen, "canceling": task.JobCancelling,
	"canceled": task.JobCancelled, "completed": task.JobDone, "error": task.JobFailed,
}

// updateJob changes the document of a job, and what the history knows of it.
func (a *API) updateJob(c *call, f func(doc document) error) (answer, error) {
	j, err := a.job(c, c.id, missingSyncJob(c.id))
	if err != nil {
		return answer{}, err
	}
	if j.Managed() {
		return answer{}, managedWrite(j)
	}
	word := "noop"
	_, err = a.control.UpdateExternal(c.Context(), c.who, j.ID, func(j *history.ExternalJob) error {
		doc, err := decodeDocument(j.Ext[task.Elastic])
		if err != nil {
			return internal(c.Context(), a.log, err)
		}
		before, err := encode(doc)
		if err != nil {
			return err
		}
		if err := f(doc); err != nil {
			return err
		}
		after, err := encode(doc)
		if err != nil {
			return err
		}
		if err := checkGrowth(before, after); err != nil {
			return err
		}
		if word = "updated"; bytes.Equal(after, before) {
			word = "noop"
			return nil
		}
		j.Ext[task.Elastic] = after
		a.record(j, doc)
		return nil
	})
	if err != nil {
		return answer{}, notFoundAs(err, missingSyncJob(c.id))
	}
	return result(word)
}

// record tells the history what the document of a job says. A job that fails ends now: its
// last_seen is what its program told, and completed_at may be of an end before it was
// claimed again.
func (a *API) record(j *history.ExternalJob, doc document) {
	ended := j.State.Ended()
	j.Status = doc.text("status")
	j.State = jobStates[j.Status]
	j.Why = doc.text("error")
	if t, ok := parseDate(doc.text("started_at")); ok {
		j.StartedAt = t.Truncate(time.Microsecond)
	}
	switch {
	case !j.State.Ended():
		j.EndedAt = time.Time{}
	case !ended:
		j.EndedAt = a.now().Truncate(time.Microsecond)
		if j.EndedAt.Before(j.StartedAt) { // it begins when it was last seen, or after
			j.EndedAt = j.StartedAt
		}
	}
	j.Counts = documents(doc.count("indexed_document_count"), doc.count("deleted_document_count"))
	// Volumes are in MiB.
	if v := doc.count("indexed_document_volume"); v > 0 {
		j.Counts.Bytes = min(v, math.MaxInt64>>20) << 20
	}
}

// documents are counts of a sync that indexed and deleted so many; what is below zero, or
// does not fit, counts as far as it can.
func documents(indexed, deleted int64) task.Counts {
	const most = math.MaxInt64 / 4
	indexed, deleted = min(max(indexed, 0), most), min(max(deleted, 0), most)
	return task.Counts{Requested: indexed + deleted, Synced: indexed + deleted, Deleted: deleted}
}

// count returns a whole number of a document, 0 when there is none.
func (d document) count(name string) int64 {
	n, _ := d[name].(interface{ Int64() (int64, error) })
	if n == nil {
		return 0
	}
	v, _ := n.Int64()
	return v
}

// checkInJob notes that the program that does a job lives.
func (a *API) checkInJob(c *call) (answer, error) {
	return a.updateJob(c, func(doc document) error {
		doc["last_seen"] = formatDate(doc.nextSeen(a.now()))
		return nil
	})
}

var claimShape = shape{
	name:     "connector_claim_sync_job",
	fields:   map[string]token{"worker_hostname": tokString, "sync_cursor": tokObject | tokNull},
	required: []string{"worker_hostname"},
}

// claimJob lets a worker take a job. It does not ask for its state.
func (a *API) claimJob(c *call) (answer, error) {
	in, err := claimShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	host, _ := in.text("worker_hostname")
	return a.updateJob(c, func(doc document) error {
		now := formatDate(doc.nextSeen(a.now()))
		doc["worker_hostname"], doc["status"], doc["started_at"], doc["last_seen"] = host, "in_progress", now, now
		if cursor := in.get("sync_cursor"); cursor != nil && cursor.token == tokObject {
			doc.merge(map[string]any{"connector": map[string]any{"sync_cursor": cursor.value()}})
		}
		return nil
	})
}

// cancelJob ends a job that waits, asks the program of one that runs to end it, and
// cancels the scan of a task.
func (a *API) cancelJob(c *call) (answer, error) {
	j, err := a.job(c, c.id, missingSyncJob(c.id))
	if err != nil {
		return answer{}, err
	}
	if j.Managed() {
		return a.cancelManaged(c, j)
	}
	return a.updateJob(c, func(doc document) error {
		now := formatDate(a.now().Truncate(time.Microsecond))
		state := doc.text("status")
		switch {
		case state == "pending" || state == "suspended":
			doc["status"], doc["canceled_at"], doc["completed_at"] = "canceled", now, now
		case slices.Contains(jobBecomes[state], "canceling"):
			doc["status"] = "canceling"
		default:
			return badJobState(state, "canceling")
		}
		doc["cancelation_requested_at"] = now
		return nil
	})
}

var jobErrorShape = shape{
	name:   "connector_sync_job_error_request",
	fields: map[string]token{"error": tokString}, required: []string{"error"},
}

func (a *API) jobError(c *call) (answer, error) {
	in, err := jobErrorShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	text, _ := in.text("error")
	if text == "" {
		return answer{}, notValid("[error] of the connector sync job cannot be [null] or [\"\"]")
	}
	return a.updateJob(c, func(doc document) error {
		if state := doc.text("status"); !slices.Contains(jobBecomes[state], "error") {
			return badJobState(state, "error")
		}
		doc["status"], doc["error"] = "error", text
		return nil
	})
}

var jobStatsShape = shape{
	name: "connector_update_sync_job_ingestion_stats",
	fields: map[string]token{
		"deleted_document_count": tokNumber | tokString, "indexed_document_count": tokNumber | tokString,
		"indexed_document_volume": tokNumber | tokString, "total_document_count": tokNumber | tokString,
		"last_seen": tokString | tokNull, "metadata": tokObject | tokNull,
	},
	required: []string{"deleted_document_count", "indexed_document_count", "indexed_document_volume"},
}

// jobStats takes how far a job is.
func (a *API) jobStats(c *call) (answer, error) {
	in, err := jobStatsShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	set := map[string]any{}
	var negative []string
	for _, name := range []string{"deleted_document_count", "indexed_document_count", "indexed_document_volume", "total_document_count"} {
		n, given, err := in.long(name)
		if err != nil {
			return answer{}, err
		}
		if n < 0 {
			negative = append(negative, "["+name+"] cannot be negative.")
		}
		if given {
			set[name] = number(n)
		}
	}
	if len(negative) > 0 {
		return answer{}, notValid(negative...)
	}
	seen, given, err := in.date("last_seen")
	if err != nil {
		return answer{}, err
	}
	if m := in.get("metadata"); m != nil && m.token == tokObject {
		set["metadata"] = m.value()
	}
	return a.updateJob(c, func(doc document) error {
		if !given {
			seen = doc.nextSeen(a.now())
		}
		doc.merge(set)
		doc["last_seen"] = formatDate(seen)
		return nil
	})
}
