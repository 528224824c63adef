package didspaces

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// post begins a sync: the client's program does the work and reports by put.
func (a *API) post(ctx context.Context, who visitor, text []byte) (any, error) {
	body, err := decodeObject("the body", text)
	if err != nil {
		return nil, err
	}
	if err := checkAction(body["actionType"]); err != nil {
		return nil, err
	}
	data, err := decodeObject("data", body["data"])
	if err != nil {
		return nil, err
	}
	k := kept{User: who.user}
	if k.Source, err = decodeText("data.source", data["source"], false); err != nil {
		return nil, err
	}
	if k.Target, err = decodeText("data.target", data["target"], false); err != nil {
		return nil, err
	}
	if k.Metadata, err = decodeMetadata(data["metadata"]); err != nil {
		return nil, err
	}
	if k.figures, err = decodeFigures(data, true); err != nil {
		return nil, err
	}
	ext, err := encode(k)
	if err != nil {
		return nil, err
	}
	j, err := a.control.ReportExternal(ctx, who.Caller, history.ExternalReport{
		Subject: who.app.DID, Name: who.app.Name, Type: action, Status: statusPending, State: task.JobOpen,
		Counts: k.counts(task.JobOpen), Ext: ext,
	})
	if err != nil {
		return nil, err
	}
	return entryOf(j, who.app)
}

// counts are what the figures say of a job. What is neither done nor failed when it has
// ended was left alone.
func (f figures) counts(s task.JobState) task.Counts {
	n := task.Counts{Requested: f.TotalCount, Synced: f.SuccessCount, Failed: f.ErrorCount, Bytes: f.Size}
	if s.Ended() {
		n.Ignored = n.Pending()
	}
	return n
}

// put reports on a sync. It may be repeated: the client repeats what it has no answer to.
func (a *API) put(ctx context.Context, who visitor, text []byte) (any, error) {
	body, err := decodeObject("the body", text)
	if err != nil {
		return nil, err
	}
	id, err := decodeText("id", body["id"], false)
	if err != nil {
		return nil, err
	}
	word, err := decodeText("status", body["status"], false)
	if err != nil {
		return nil, err
	}
	status, ok := parseStatus(word)
	if !ok {
		return nil, badField("status", mustBeStatus)
	}
	reason, err := decodeText("reason", body["reason"], true)
	if err != nil {
		return nil, err
	}
	if err := checkAction(body["actionType"]); err != nil {
		return nil, err
	}
	data, err := decodeObject("data", body["data"])
	if err != nil {
		return nil, err
	}
	f, err := decodeFigures(data, false)
	if err != nil {
		return nil, err
	}
	j, err := a.control.UpdateExternal(ctx, who.Caller, task.JobID(id), func(j *history.ExternalJob) error {
		if j.Subject != who.app.DID {
			return errNoEntry
		}
		return report(j, status, reason, f)
	})
	if task.KindOf(err) == task.NotFound {
		return nil, a.noEntry(ctx, who, task.JobID(id))
	}
	if err != nil {
		return nil, err
	}
	return entryOf(j, who.app)
}

var errNoEntry = &task.Error{Kind: task.NotFound, Code: "ENTRY_NOT_FOUND", Text: "there is no log entry with this id", Next: "post one first"}

// noEntry is why an entry cannot be changed: there is none, it is another app's, which
// is the same answer, or Lockstep itself does the job.
func (a *API) noEntry(ctx context.Context, who visitor, id task.JobID) error {
	if j, err := a.control.ExternalJob(ctx, who.Caller, id); err == nil && j.Managed() {
		return invalid("ENTRY_MANAGED", "Lockstep does this job itself and reports on it", "report on entries that your app has posted")
	}
	return errNoEntry
}

// report merges what a client puts into an entry: source, target and metadata stay.
func report(j *history.ExternalJob, s parsed, reason string, f figures) error {
	var k kept
	if err := json.Unmarshal(j.Ext[task.DIDSpaces], &k); err != nil {
		return err
	}
	k.figures, k.Reason = f, reason
	ext, err := encode(k)
	if err != nil {
		return err
	}
	if s.state != j.State {
		j.EndedAt = time.Time{} // now, if it has ended: a later success is not as old as the failure before it
	}
	j.Status, j.State, j.Why, j.Counts = s.word, s.state, reason, f.counts(s.state)
	j.Ext[task.DIDSpaces] = ext
	return nil
}

// entryOf renders a job that an app reports.
func entryOf(j history.ExternalJob, app task.App) (entry, error) {
	var k kept
	if err := json.Unmarshal(j.Ext[task.DIDSpaces], &k); err != nil {
		return entry{}, err
	}
	return entry{
		ID: string(j.ID), EntityID: app.DID, EntityName: app.Name, ActionType: action, UserID: k.User, Username: "", Status: j.Status,
		Reason: k.Reason, CreatedAt: isoTime(j.StartedAt), UpdatedAt: isoTime(j.ChangedAt),
		Data: entryData{AppName: nameOf(app), places: k.places, figures: k.figures, Metadata: k.Metadata},
	}, nil
}

// nameOf is what an app is called, by its DID when nobody named it.
func nameOf(app task.App) string {
	if app.Name != "" {
		return app.Name
	}
	return app.DID
}

// isoTime writes a time as JavaScript does.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
