package elastic

import (
	"fmt"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Tasks appear as connectors: their documents are made when they are read, of what
// control knows, so they are never behind.

// The types of a sync job.
const (
	fullSync          = "full"
	incrementalSync   = "incremental"
	accessControlSync = "access_control"
)

// managed returns the task that an id of a connector stands for.
func (a *API) managed(c *call, id string) (k task.Task, managed bool, err error) {
	if !task.ID(id).Valid() {
		return k, false, nil
	}
	k, err = a.control.Task(c.Context(), c.who, id)
	if task.KindOf(err) == task.NotFound && err != nil {
		return k, false, nil
	}
	return k, err == nil, err
}

// refuseManaged refuses to write to the connector of a task.
func (a *API) refuseManaged(c *call, id string) error {
	k, managed, err := a.managed(c, id)
	if err != nil || !managed {
		return err
	}
	return badState("Connector [%s] is managed by Lockstep: it stands for task [%s], which is changed through /api/v1 or the command line.", id, k.Name)
}

// managedConnector is the document of a task, with its id.
func (a *API) managedConnector(k task.Task, sync history.TaskSync) document {
	doc := newConnector(k.CreatedAt.Truncate(time.Millisecond))
	doc.merge(map[string]any{
		"id": string(k.ID), "name": k.Name, "index_name": history.ManagedIndexPrefix + string(k.ID),
		"service_type": history.ManagedServiceType, "status": connected, "last_seen": formatDate(a.now().Truncate(time.Millisecond)),
	})
	if k.Description != "" {
		doc["description"] = k.Description
	}
	if k.State == task.Stopped {
		doc["status"] = configured
	}
	if cron, ok := quartz(k.Options.Schedule.Cron); ok {
		doc.merge(map[string]any{"scheduling": map[string]any{fullSync: map[string]any{"enabled": k.State == task.Active, "interval": cron}}})
	}
	if sync.Latest.ID != "" {
		managedLast(doc, sync)
	}
	return doc
}

// managedLast sets the last_* fields of a task: how its latest job stands, what it has
// done so far, and when a job ended last.
func managedLast(doc document, sync history.TaskSync) {
	last := sync.Latest
	doc["last_sync_status"] = last.Status
	doc["last_indexed_document_count"] = number(last.Counts.Synced - last.Counts.Deleted)
	doc["last_deleted_document_count"] = number(last.Counts.Deleted)
	field := "last_incremental_sync_scheduled_at"
	if last.Type == fullSync {
		field = "last_sync_scheduled_at"
	}
	doc[field] = formatDate(last.StartedAt)
	if why := failure(last); why != "" {
		doc["last_sync_error"] = why
	}
	if !sync.EndedAt.IsZero() {
		doc["last_synced"] = formatDate(sync.EndedAt)
	}
}

// failure says why a job ended in an error; empty: it did not.
func failure(j history.ExternalJob) string {
	switch {
	case j.Status != "error":
		return ""
	case j.Why != "":
		return j.Why
	case j.Counts.Failed == 1:
		return "1 object failed; see: lockstep status"
	}
	return fmt.Sprintf("%d objects failed; see: lockstep status", j.Counts.Failed)
}

// managedJob is the document of a task's job, without its id. k is the zero Task when the
// task was deleted.
func managedJob(k task.Task, j history.ExternalJob) document {
	at, made := formatDate(j.StartedAt), k.CreatedAt
	if k.ID == "" {
		made = j.StartedAt
	}
	seen := j.ChangedAt
	doc := document{
		"connector": map[string]any{
			"id": j.Subject, "index_name": history.ManagedIndexPrefix + j.Subject, "service_type": history.ManagedServiceType,
			"configuration": map[string]any{}, "filtering": newFilter(made.Truncate(time.Millisecond)),
		},
		"created_at": at, "started_at": at, "job_type": j.Type, "status": j.Status, "trigger_method": "on_demand", "metadata": map[string]any{},
		"indexed_document_count": number(j.Counts.Synced - j.Counts.Deleted), "deleted_document_count": number(j.Counts.Deleted),
		"indexed_document_volume": number(j.Counts.Bytes >> 20), "total_document_count": number(0),
	}
	if j.Type == fullSync {
		doc["total_document_count"] = number(j.Counts.Synced - j.Counts.Deleted + j.Counts.Unchanged)
	}
	if why := failure(j); why != "" {
		doc["error"] = why
	}
	switch j.State {
	case task.JobCancelled:
		doc["cancelation_requested_at"], doc["canceled_at"] = formatDate(j.ClosedAt), formatDate(j.EndedAt)
	case task.JobCancelling:
		doc["cancelation_requested_at"] = formatDate(j.ClosedAt)
	default:
	}
	if !j.EndedAt.IsZero() {
		doc["completed_at"] = formatDate(j.EndedAt)
		seen = j.EndedAt
	}
	doc["last_seen"] = formatDate(seen)
	return doc
}

// startManaged starts a scan of a task for a sync job that was asked for.
func (a *API) startManaged(c *call, k task.Task, kind string) (answer, error) {
	if kind != fullSync {
		return answer{}, badState("Connector [%s] is managed by Lockstep: a [%s] job of it begins with the first event; only a [full] job can be asked for.", k.ID, kind)
	}
	j, err := a.control.StartScan(c.Context(), c.who, string(k.ID))
	if err != nil {
		return answer{}, err
	}
	return answer{201, map[string]any{"id": string(j.ID)}}, nil
}

// cancelManaged cancels a job of a task.
func (a *API) cancelManaged(c *call, j history.ExternalJob) (answer, error) {
	if _, err := a.control.CancelJob(c.Context(), c.who, j.ID); err != nil {
		if task.KindOf(err) == task.Conflict {
			return answer{}, badJobState(j.Status, "canceling")
		}
		return answer{}, err
	}
	return result("updated")
}

// quartz writes a schedule of five fields as a Quartz expression. Their days of the week
// count from 0, Quartz's from 1.
func quartz(cron string) (string, bool) {
	if cron == "" {
		return "", false
	}
	return quartzFields(cron)
}
