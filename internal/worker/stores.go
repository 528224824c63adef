package worker

import (
	"context"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/retry"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/transfer"
)

// Stores opens the two ends of tasks.
type Stores interface {
	// Open returns the ends of a task as it is now. It is called often: an unchanged
	// task, with unchanged endpoints, gets the same Ends again, made by NewEnds.
	// NotFound: the task does not exist any more. Other errors say why a store cannot be
	// opened now; the work waits.
	Open(ctx context.Context, id task.ID) (*Ends, error)
}

// EndsConfig is what NewEnds makes Ends of.
type EndsConfig struct {
	Task task.Task
	// Src and Dst are the whole buckets, each wrapped as limit inside retry.
	Src, Dst objstore.Bucket
	// Ours says whether there is, or was, a task of that id. It is asked about keys that
	// look like lists, and about few different ids.
	Ours func(task.ID) bool
	// Uploads remembers unfinished uploads; nil: none.
	Uploads transfer.Uploads
	// VerifySkew is how far the destination's clock may be behind the source's when a
	// copy is checked.
	VerifySkew time.Duration
}

// Ends are the two ends of one version of a task.
type Ends struct {
	Task task.Task
	// Src and Dst hold the keys of the task: below its prefixes, without the lists.
	Src, Dst objstore.Bucket
	// Lists is the whole destination bucket, where the lists go.
	Lists objstore.Bucket

	srcLists, dstLists *hiding
	plan               plan.Options
	copier             *transfer.Copier
}

// tries of a request within one attempt at a key: what takes longer is tried again
// later, and leaves its place to other keys meanwhile.
var tries = retry.Policy{Attempts: 4, Base: 50 * time.Millisecond, Max: 2 * time.Second}

// NewEnds prepares the ends of a task. The error is that of its options.
func NewEnds(cfg EndsConfig) (*Ends, error) {
	opt, err := planOptions(cfg.Task.Options)
	if err != nil {
		return nil, err
	}
	e := &Ends{
		Task: cfg.Task, Lists: cfg.Dst, plan: opt,
		srcLists: &hiding{Bucket: cfg.Src, ours: cfg.Ours}, dstLists: &hiding{Bucket: cfg.Dst, ours: cfg.Ours},
	}
	e.Src = objstore.Sub(e.srcLists, cfg.Task.Source.Prefix)
	e.Dst = objstore.Sub(e.dstLists, cfg.Task.Destination.Prefix)
	e.copier = transfer.New(transfer.Config{
		Src: e.Src, Dst: e.Dst, Retry: tries, Uploads: cfg.Uploads,
		Plain: cfg.Task.Options.PlainContent, Class: cfg.Task.Options.StorageClass,
		Encrypt: cfg.Task.Options.Encrypt, Verify: cfg.Task.Options.Verify, VerifySkew: cfg.VerifySkew,
		Held: len(cfg.Task.Options.Bandwidth) > 0,
	})
	return e, nil
}

// Hides says whether a key of the task is that of a list at either end.
func (e *Ends) Hides(key string) bool {
	return e.srcLists.hides(e.Task.Source.Prefix+key) || e.dstLists.hides(e.Task.Destination.Prefix+key)
}

// Plan returns the rules of the task, with ages counted back from now.
func (e *Ends) Plan(now time.Time) plan.Options {
	opt := e.plan
	opt.Now = now
	opt.SrcETagMD5 = e.Src.Capabilities().ETag == objstore.ETagMD5
	// What is encrypted with a managed key has an ETag that is no MD5.
	opt.DstETagMD5 = e.Dst.Capabilities().ETag == objstore.ETagMD5 && e.Task.Options.Encrypt == ""
	return opt
}

// planOptions reads the rules of a task.
func planOptions(o task.Options) (plan.Options, error) {
	mode, err := plan.ParseMode(o.Compare)
	if err != nil {
		return plan.Options{}, err
	}
	rules := make([]plan.Rule, len(o.Filter))
	for i, text := range o.Filter {
		if rules[i], err = plan.ParseRule(text); err != nil {
			return plan.Options{}, err
		}
	}
	return plan.Options{
		Mode: mode, Deletes: o.Deletes, Filter: plan.NewFilter(rules...),
		Guard: plan.Guard{MaxDeletes: o.Guard.MaxDeletes, MaxPercent: o.Guard.MaxPercent},
	}, nil
}
