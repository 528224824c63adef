package elastic

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

var (
	jobTypes       = []string{accessControlSync, fullSync, incrementalSync}
	triggerMethods = []string{"on_demand", "scheduled"}
)

// missingJob is the answer for a job that does not exist, where it is only read.
func missingJob(id string) *exception { return missing(id) }

// missingSyncJob is the same for its updates.
func missingSyncJob(id string) *exception {
	return missing("connector sync job [" + id + "] not found")
}

var postJobShape = shape{
	name:     "connector_sync_job_post_request",
	fields:   map[string]token{"id": tokString, "job_type": tokString | tokNull, "trigger_method": tokString | tokNull},
	required: []string{"id"},
}

// postJob makes a sync job of a connector, or starts a scan of a task.
func (a *API) postJob(c *call) (answer, error) {
	in, err := postJobShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	id, _ := in.text("id")
	kind, given, err := in.word("job_type", "ConnectorSyncJobType", jobTypes)
	if err != nil {
		return answer{}, err
	}
	if !given {
		kind = fullSync
	}
	trigger, given, err := in.word("trigger_method", "ConnectorSyncJobTriggerMethod", triggerMethods)
	if err != nil {
		return answer{}, err
	}
	if !given {
		trigger = "on_demand"
	}
	if id == "" {
		return answer{}, notValid("[id] of the connector cannot be [null] or [\"\"]")
	}
	if k, managed, err := a.managed(c, id); err != nil {
		return answer{}, err
	} else if managed {
		return a.startManaged(c, k, kind)
	}
	n, err := a.control.Connector(c.Context(), c.who, id)
	if err != nil {
		return answer{}, notFoundAs(err, missing("Connector with id '"+id+"' does not exist."))
	}
	doc, err := a.newJob(c, n, kind, trigger)
	if err != nil {
		return answer{}, err
	}
	raw, err := encode(doc)
	if err != nil {
		return answer{}, err
	}
	j, err := a.control.ReportExternal(c.Context(), c.who, history.ExternalReport{
		Subject: id, Name: n.Name, Type: kind, Status: "pending", State: task.JobOpen, Ext: raw,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, map[string]any{"id": string(j.ID)}}, nil
}

// newJob is the document of a job that waits: it holds what the connector was when the
// job was made.
func (a *API) newJob(c *call, n history.Connector, kind, trigger string) (document, error) {
	of, err := decodeDocument(n.Doc)
	if err != nil {
		return nil, internal(c.Context(), a.log, err)
	}
	switch {
	case n.IndexName == "":
		return nil, badState("Cannot create a sync job for connector [%s]: it has no [index_name].", n.ID)
	case n.ServiceType == "":
		return nil, badState("Cannot create a sync job for connector [%s]: it has no [service_type].", n.ID)
	}
	index := n.IndexName
	if kind == accessControlSync {
		index = ".search-acl-filter-" + index
	}
	snapshot := map[string]any{"id": n.ID, "index_name": index, "service_type": n.ServiceType, "configuration": of["configuration"]}
	if active := of.first("filtering").object("active"); active != nil {
		snapshot["filtering"] = map[string]any(active)
	}
	for _, name := range []string{"language", "pipeline", "sync_cursor"} {
		if v, given := of[name]; given {
			snapshot[name] = v
		}
	}
	now := formatDate(a.now().Truncate(time.Microsecond))
	return document{
		"connector": snapshot, "created_at": now, "last_seen": now, "job_type": kind, "trigger_method": trigger, "status": "pending",
		"deleted_document_count": number(0), "indexed_document_count": number(0), "indexed_document_volume": number(0),
		"total_document_count": number(0), "metadata": map[string]any{},
	}, nil
}

// job reads a sync job: one of a connector, or one of a task. What _last_sync told is in
// the same history, and no sync job.
func (a *API) job(c *call, id string, absent *exception) (history.ExternalJob, error) {
	j, err := a.control.ExternalJob(c.Context(), c.who, task.JobID(id))
	if err != nil {
		return j, notFoundAs(err, absent)
	}
	if !j.Managed() && j.Type == reported {
		return j, absent
	}
	return j, nil
}

func (a *API) getJob(c *call) (answer, error) {
	j, err := a.job(c, c.id, missingJob(c.id))
	if err != nil {
		return answer{}, err
	}
	raw, err := a.jobRow(c, j, map[string]task.Task{})
	if err != nil {
		return answer{}, err
	}
	return ok(raw)
}

// jobRow is the document of a job with its id. tasks remembers those that were read.
func (a *API) jobRow(c *call, j history.ExternalJob, tasks map[string]task.Task) (json.RawMessage, error) {
	if !j.Managed() {
		return withID(string(j.ID), j.Ext[task.Elastic])
	}
	k, read := tasks[j.Subject]
	if !read {
		var err error
		if k, _, err = a.managed(c, j.Subject); err != nil { // none: the task was deleted
			return nil, err
		}
		tasks[j.Subject] = k
	}
	doc := managedJob(k, j)
	doc["id"] = string(j.ID)
	return encode(doc)
}

// jobFilter reads the query of a list of jobs.
func jobFilter(p params) (f history.ExternalFilter, from, size int, err error) {
	if from, size, err = p.page(); err != nil {
		return f, 0, 0, err
	}
	f = history.ExternalFilter{Origin: task.Elastic, Managed: true, Types: jobTypes}
	if types := p.list("job_type"); len(types) > 0 {
		for _, t := range types {
			if !slices.Contains(jobTypes, t) {
				return f, 0, 0, illegalArgument("Unknown ConnectorSyncJobType: %s", t)
			}
		}
		f.Types = types
	}
	if s, given := p.last("status"); given && s != "" {
		if !slices.Contains(syncStates, s) {
			return f, 0, 0, illegalArgument("Unknown ConnectorSyncStatus: %s", s)
		}
		f.Statuses = []string{s}
	}
	if id, _ := p.last("connector_id"); id != "" {
		// A connector or a task; one that was deleted, too, whose jobs stay.
		f.Subject, f.Task, f.Managed = id, task.ID(id), task.ID(id).Valid()
	}
	return f, from, size, nil
}

// listJobs answers a page of jobs, those made last first.
func (a *API) listJobs(c *call) (answer, error) {
	f, from, size, err := jobFilter(c.params)
	if err != nil {
		return answer{}, err
	}
	rows, total, err := a.control.ExternalJobs(c.Context(), c.who, f, from, size)
	if err != nil {
		return answer{}, err
	}
	out := page{total, make([]json.RawMessage, 0, len(rows))}
	tasks := map[string]task.Task{}
	for _, j := range rows {
		raw, err := a.jobRow(c, j, tasks)
		if err != nil {
			return answer{}, err
		}
		out.results = append(out.results, raw)
	}
	return ok(out)
}

func (a *API) deleteJob(c *call) (answer, error) {
	j, err := a.job(c, c.id, missingJob(c.id))
	if err != nil {
		return answer{}, err
	}
	if j.Managed() {
		return answer{}, managedWrite(j)
	}
	if err := a.control.DeleteExternal(c.Context(), c.who, j.ID); err != nil {
		return answer{}, notFoundAs(err, missingJob(c.id))
	}
	return ok(map[string]any{"acknowledged": true})
}

// managedWrite refuses to write to a job of a task.
func managedWrite(j history.ExternalJob) *exception {
	return badState("Sync job [%s] is managed by Lockstep: it is done by its engine and can be canceled, but not written.", j.ID)
}

// deleteJobsOf removes all sync jobs of the connector of a call.
func (a *API) deleteJobsOf(c *call) error {
	f := history.ExternalFilter{Origin: task.Elastic, Subject: c.id, Types: jobTypes, Bare: true}
	for {
		rows, _, err := a.control.ExternalJobs(c.Context(), c.who, f, 0, 100)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, j := range rows {
			// Somebody else may be deleting them too.
			if err := a.control.DeleteExternal(c.Context(), c.who, j.ID); err != nil && task.KindOf(err) != task.NotFound {
				return err
			}
		}
	}
}
