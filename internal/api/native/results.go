package native

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

type ByJob struct {
	Job task.JobID `path:"job"`
}

// ReasonCounts count records by why they ended so.
type ReasonCounts struct {
	Synced  map[task.Reason]int64 `json:"synced" nullable:"false"`
	Failed  map[task.Reason]int64 `json:"failed" nullable:"false"`
	Ignored map[task.Reason]int64 `json:"ignored" nullable:"false"`
}

func (a *API) results() {
	const tag = "results"
	add(a, at(http.MethodGet, "/jobs", "listJobs", "Jobs, newest first", tag), a.listJobs)
	add(a, at(http.MethodGet, "/jobs/{job}", "getJob", "One job with its counts", tag),
		func(ctx context.Context, who control.Caller, in *ByJob) (*body[Job], error) {
			j, err := a.control.Job(ctx, who, in.Job)
			return &body[Job]{jobOf(j)}, err
		})
	add(a, at(http.MethodGet, "/tasks/{task}/failures", "listFailures", "Failed records, oldest first", tag), a.listFailures)
	add(a, at(http.MethodGet, "/tasks/{task}/reasons", "countReasons", "How many ended for which reason", tag), a.countReasons)
	add(a, at(http.MethodGet, "/tasks/{task}/statistics", "getStatistics", "5-minute intervals, without empty ones", tag), a.statistics)
	add(a, at(http.MethodGet, "/tasks/{task}/statistics/month", "getMonth", "A month, UTC", tag), a.month)
	add(a, at(http.MethodGet, "/tasks/{task}/status", "getStatus", "Is my data in sync, and how far behind", tag),
		func(ctx context.Context, who control.Caller, in *ByTask) (*body[Status], error) {
			s, err := a.control.Status(ctx, who, in.Task)
			return &body[Status]{statusOf(s)}, err
		})
	add(a, at(http.MethodGet, "/status", "listStatus", "How all tasks stand", tag), a.listStatus)
	add(a, at(http.MethodGet, "/audit", "listAudit", "Who changed what, newest first", tag), a.listAudit)
	add(a, at(http.MethodPost, "/audit/verify", "verifyAudit", "Walk the whole audit chain", tag), a.verifyAudit)
	a.proofs(tag)
}

func (a *API) listJobs(ctx context.Context, who control.Caller, in *struct {
	Paging
	Task string       `query:"task" doc:"Id or name"`
	Kind task.JobKind `query:"kind" enum:"scan,events,manifest,retry,verify,external"`
},
) (*body[Page[Job]], error) {
	before, err := decodeCursor("jobs", in.Cursor)
	if err != nil {
		return nil, err
	}
	js, err := a.control.Jobs(ctx, who, control.JobFilter{Task: in.Task, Kind: in.Kind, Before: task.JobID(before), Limit: in.Limit + 1})
	return &body[Page[Job]]{pageOf(js, in.Limit, jobOf, func(j task.Job) string { return encodeCursor("jobs", string(j.ID)) })}, err
}

func (a *API) listFailures(ctx context.Context, who control.Caller, in *struct {
	ByTask
	Paging
	Job    task.JobID  `query:"job"`
	Reason task.Reason `query:"reason"`
	Key    string      `query:"key"`
	Open   bool        `query:"open" doc:"Only those that can be retried"`
},
) (*body[Page[Failure]], error) {
	after, err := decodeNumCursor("failures", in.Cursor)
	if err != nil {
		return nil, err
	}
	fs, err := a.control.Failures(ctx, who, in.Task, history.FailureFilter{Job: in.Job, Reason: in.Reason, Key: in.Key, OpenOnly: in.Open},
		after, in.Limit+1)
	return &body[Page[Failure]]{pageOf(fs, in.Limit, failureOf, func(f history.Failure) string { return encodeNumCursor("failures", f.Num) })}, err
}

func (a *API) countReasons(ctx context.Context, who control.Caller, in *struct {
	ByTask
	Job task.JobID `query:"job"`
},
) (*body[ReasonCounts], error) {
	all, err := a.control.Reasons(ctx, who, in.Task, in.Job)
	of := func(o task.Outcome) map[task.Reason]int64 {
		if all[o] == nil {
			return map[task.Reason]int64{}
		}
		return all[o]
	}
	return &body[ReasonCounts]{ReasonCounts{of(task.Synced), of(task.Failed), of(task.Ignored)}}, err
}

func (a *API) statistics(ctx context.Context, who control.Caller, in *struct {
	ByTask
	From  time.Time `query:"from" required:"true"`
	To    time.Time `query:"to" required:"true" doc:"At most 31 days later; not included"`
	Named bool      `query:"named" doc:"Without what scans found"`
},
) (*body[Page[Span]], error) {
	spans, err := a.control.Intervals(ctx, who, in.Task, in.From, in.To, in.Named)
	return &body[Page[Span]]{pageOf(spans, len(spans), spanOf, nil)}, err
}

func (a *API) month(ctx context.Context, who control.Caller, in *struct {
	ByTask
	At    time.Time `query:"at" doc:"A time within the month; none: now"`
	Named bool      `query:"named" doc:"Without what scans found"`
},
) (*body[Span], error) {
	s, err := a.control.Month(ctx, who, in.Task, in.At, in.Named)
	return &body[Span]{spanOf(s)}, err
}

func (a *API) listStatus(ctx context.Context, who control.Caller, in *Paging) (*body[Page[Status]], error) {
	after, err := decodeCursor("status", in.Cursor)
	if err != nil {
		return nil, err
	}
	all, err := a.control.Statuses(ctx, who, task.ID(after), in.Limit+1)
	return &body[Page[Status]]{pageOf(all, in.Limit, statusOf, func(s control.Status) string { return encodeCursor("status", string(s.Task.ID)) })}, err
}

func (a *API) listAudit(ctx context.Context, who control.Caller, in *Paging) (*body[Page[AuditEntry]], error) {
	before, err := decodeNumCursor("audit", in.Cursor)
	if err != nil {
		return nil, err
	}
	es, err := a.control.Audit(ctx, who, before, in.Limit+1)
	render := func(e history.AuditEntry) AuditEntry {
		return AuditEntry{e.Num, e.At.UTC(), e.Actor, e.Action, e.Subject, e.Detail, hex.EncodeToString(e.Prev[:]), hex.EncodeToString(e.Hash[:])}
	}
	return &body[Page[AuditEntry]]{pageOf(es, in.Limit, render, func(e history.AuditEntry) string { return encodeNumCursor("audit", e.Num) })}, err
}

// Verified is what came of walking the audit chain.
type Verified struct {
	OK      bool  `json:"ok"`
	Entries int64 `json:"entries"`
	Broken  int64 `json:"broken,omitempty" doc:"The first entry that does not fit"`
}

func (a *API) verifyAudit(ctx context.Context, who control.Caller, _ *none) (*body[Verified], error) {
	entries, broken, err := a.control.VerifyAudit(ctx, who)
	return &body[Verified]{Verified{broken == 0, entries, broken}}, err
}
