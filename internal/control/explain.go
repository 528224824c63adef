package control

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Explanation is all that can be said of one key of a task.
type Explanation struct {
	Task        task.ID
	Key         string
	Source      Side
	Destination Side
	// Verdict is what a scan would decide now: copy, compare, delete, ignore, leave, or
	// unknown when a side cannot be read.
	Verdict string
	Reason  task.Reason // set when it is ignore
	// Rule is the number of the filter rule that matched, from 1; 0: none did. RuleText
	// is that rule.
	Rule     int
	RuleText string
	// Waiting is the record that waits for its turn, nil when none does.
	Waiting  *Waiting
	Failures []history.Failure // that are kept, oldest first
}

// Side is how a store shows the key now.
type Side struct {
	Exists  bool
	Code    string // why it cannot be said, e.g. DENIED
	Error   string // the store's own words
	Size    int64
	ETag    string
	ModTime time.Time
	Class   string
}

// Waiting is a pending record.
type Waiting struct {
	By         task.JobKind // events, manifest or scan
	AcceptedAt time.Time
	NextAt     time.Time // when its turn comes
	Attempts   int
	Reason     task.Reason // of the last attempt
	Missed     bool
}

// explainTime bounds the questions to both stores.
const explainTime = 15 * time.Second

// Explain says what both sides show of a key, what would be decided, by which rule, and
// what was tried. A side that cannot be read is part of the answer, not an error.
func (c *Control) Explain(ctx context.Context, who Caller, ref, key string) (Explanation, error) {
	k, err := c.reading(ctx, who, ref)
	if err != nil {
		return Explanation{}, err
	}
	if err := task.CheckKey(key); err != nil {
		return Explanation{}, err
	}
	waiting, failed, err := c.store.KeyState(ctx, k.ID, key)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Task: k.ID, Key: key, Failures: failed, Waiting: waitingOf(waiting)}
	ctx, cancel := context.WithTimeout(ctx, explainTime)
	defer cancel()
	src := c.look(ctx, k.Project, k.Source, key)
	dst := c.look(ctx, k.Project, k.Destination, key)
	e.Source, e.Destination = src.Side, dst.Side
	return e, e.decide(k, src, dst, c.cfg.Now())
}

func waitingOf(r *queue.Record) *Waiting {
	if r == nil {
		return nil
	}
	w := &Waiting{AcceptedAt: r.AcceptedAt, NextAt: r.NextAt, Attempts: r.Attempts, Reason: r.Reason, Missed: r.Missed}
	switch r.Class {
	case queue.ByEvent:
		w.By = task.EventsJob
	case queue.ByManifest:
		w.By = task.ManifestJob
	case queue.ByScan:
		w.By = task.ScanJob
	}
	return w
}

// looked is a side with what plan needs of it.
type looked struct {
	Side
	object *objstore.Object
	md5    bool
}

func (c *Control) look(ctx context.Context, project task.ProjectID, l task.Location, key string) (s looked) {
	b, err := c.bucket(ctx, project, l)
	var info objstore.Info
	if err == nil {
		if info, err = b.Stat(ctx, key); errors.Is(err, objstore.ErrNotFound) {
			// Of what a 404 without a body speaks only the bucket knows.
			if !objstore.Unconfirmed(err) {
				return looked{}
			}
			if err = b.Probe(ctx); err == nil {
				return looked{}
			}
		}
	}
	if err != nil {
		return looked{Side: Side{Code: storeCode(err), Error: err.Error()}}
	}
	o := info.Object
	return looked{Side{Exists: true, Size: o.Size, ETag: o.ETag, ModTime: o.ModTime, Class: o.Class}, &o, b.Capabilities().ETag == objstore.ETagMD5 && !info.OpaqueETag}
}

// verbs are plan's verdicts in words.
var verbs = map[plan.Verb]string{plan.Ignore: "ignore", plan.Copy: "copy", plan.Compare: "compare", plan.Delete: "delete", plan.Leave: "leave"}

// decide fills in what a scan would decide.
func (e *Explanation) decide(k task.Task, src, dst looked, now time.Time) error {
	if src.Code != "" || dst.Code != "" {
		e.Verdict = "unknown"
		return nil
	}
	mode, err := plan.ParseMode(k.Options.Compare)
	if err != nil {
		return err
	}
	filter, err := parseFilter(k.Options.Filter)
	if err != nil {
		return err
	}
	for _, o := range []*objstore.Object{src.object, dst.object} {
		if o != nil {
			o.Key = e.Key
		}
	}
	d := plan.Decide(src.object, dst.object, &plan.Options{
		Mode: mode, Deletes: k.Options.Deletes, Filter: filter, SrcETagMD5: src.md5, DstETagMD5: dst.md5, Now: now,
	})
	e.Verdict, e.Reason, e.Rule = verbs[d.Verb], d.Reason, d.Rule
	if rules := filter.Rules(); d.Rule > 0 && d.Rule <= len(rules) {
		e.RuleText = rules[d.Rule-1].String()
	}
	return nil
}
