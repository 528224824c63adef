package native

import (
	"context"
	"net/http"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Proof is a recount of everything that is recorded.
type Proof struct {
	OK     bool       `json:"ok"`
	Task   task.ID    `json:"task,omitempty"`
	Job    task.JobID `json:"job,omitempty"`
	Counts Counts     `json:"counts" doc:"requested = synced + failed + ignored + pending"`
	Broken string     `json:"broken,omitempty" doc:"The first equality that does not hold"`
	Rows   Rows       `json:"rows"`
}

// Rows are what was counted again.
type Rows struct {
	Waiting  int64 `json:"waiting"`
	Staged   int64 `json:"staged" doc:"Deletes that wait for the guard"`
	Failures int64 `json:"failures"`
	Stored   Lines `json:"stored_lines" doc:"List lines that wait to be uploaded"`
	Uploaded Lines `json:"uploaded_lines" doc:"List lines in the destination"`
	Unlisted int64 `json:"unlisted" doc:"Part of ignored that no list names"`

	RetiredFailures int64 `json:"retired_failures" doc:"Failed records that retention has removed"`
	Retired         Lines `json:"retired_lines" doc:"List lines of jobs and lists that retention has removed"`
}

// Lines count list lines by list.
type Lines struct {
	Received int64 `json:"received"`
	Synced   int64 `json:"synced"`
	Failed   int64 `json:"failed"`
	Ignored  int64 `json:"ignored"`
	Retried  int64 `json:"retried"`
}

func proofOf(p control.Proof) Proof {
	return Proof{OK: p.Broken == "", Task: p.Task, Job: p.Job, Counts: countsOf(p.Counts), Broken: p.Broken, Rows: Rows{
		Waiting: p.Rows.Waiting, Staged: p.Rows.Staged, Failures: p.Rows.Failures,
		Stored: Lines(p.Rows.Stored), Uploaded: Lines(p.Rows.Uploaded), Unlisted: p.Rows.Unlisted,
		RetiredFailures: p.Rows.RetiredFailures, Retired: Lines(p.Rows.Retired),
	}}
}

// Explanation is all that can be said of one key.
type Explanation struct {
	Task task.ID `json:"task"`
	Key
	Source      Side        `json:"source"`
	Destination Side        `json:"destination"`
	Verdict     string      `json:"verdict" enum:"copy,compare,delete,ignore,leave,unknown" doc:"What a scan would decide now"`
	Reason      task.Reason `json:"reason,omitempty"`
	Rule        int         `json:"rule,omitempty" doc:"Number of the filter rule that matched"`
	RuleText    string      `json:"rule_text,omitempty"`
	Waiting     *Waiting    `json:"waiting,omitempty" doc:"The record that waits for its turn"`
	Failures    []Failure   `json:"failures" nullable:"false" doc:"Failed records that are kept"`
}

// Side is how a store shows the key now.
type Side struct {
	Exists  bool       `json:"exists"`
	Code    string     `json:"code,omitempty" doc:"Why it cannot be said"`
	Error   string     `json:"error,omitempty"`
	Size    int64      `json:"size,omitempty"`
	ETag    string     `json:"etag,omitempty"`
	ModTime *time.Time `json:"modified_at,omitempty"`
	Class   string     `json:"storage_class,omitempty"`
}

func sideOf(s control.Side) Side {
	return Side{s.Exists, s.Code, s.Error, s.Size, s.ETag, when(s.ModTime), s.Class}
}

// Waiting is a pending record.
type Waiting struct {
	By         task.JobKind `json:"by"`
	AcceptedAt time.Time    `json:"accepted_at"`
	NextAt     time.Time    `json:"next_at"`
	Attempts   int          `json:"attempts"`
	Reason     task.Reason  `json:"reason,omitempty" doc:"Of the last attempt"`
	Missed     bool         `json:"missed,omitempty"`
}

func explanationOf(e control.Explanation) Explanation {
	out := Explanation{
		Task: e.Task, Key: keyOf(e.Key), Source: sideOf(e.Source), Destination: sideOf(e.Destination),
		Verdict: e.Verdict, Reason: e.Reason, Rule: e.Rule, RuleText: e.RuleText, Failures: []Failure{},
	}
	if w := e.Waiting; w != nil {
		out.Waiting = &Waiting{w.By, w.AcceptedAt.UTC(), w.NextAt.UTC(), w.Attempts, w.Reason, w.Missed}
	}
	for _, f := range e.Failures {
		out.Failures = append(out.Failures, failureOf(f))
	}
	return out
}

func (a *API) proofs(tag string) {
	add(a, at(http.MethodPost, "/tasks/{task}/explain", "explain", "All that can be said of one key", tag),
		func(ctx context.Context, who control.Caller, in *struct {
			ByTask
			Body Key
		},
		) (*body[Explanation], error) {
			key, err := in.Body.bytes()
			if err != nil {
				return nil, err
			}
			e, err := a.control.Explain(ctx, who, in.Task, key)
			return &body[Explanation]{explanationOf(e)}, err
		})
	add(a, at(http.MethodPost, "/tasks/{task}/prove", "proveTask", "Count a task's records again", tag),
		func(ctx context.Context, who control.Caller, in *ByTask) (*body[Proof], error) {
			p, err := a.control.ProveTask(ctx, who, in.Task)
			return &body[Proof]{proofOf(p)}, err
		})
	add(a, at(http.MethodPost, "/jobs/{job}/prove", "proveJob", "Count a job's records again", tag),
		func(ctx context.Context, who control.Caller, in *ByJob) (*body[Proof], error) {
			p, err := a.control.ProveJob(ctx, who, in.Job)
			return &body[Proof]{proofOf(p)}, err
		})
}
