// Package control is what a client may ask of Lockstep, whatever dialect it speaks:
// tasks and endpoints, events, scans, manifests and retries, results and proofs, access
// keys and the audit chain. It knows no HTTP and no SQL.
//
// Every call takes a Caller and keeps to its project: an id of another project is
// NotFound, as one that never existed. Errors are *task.Error with a code and advice;
// an error of kind Internal is for the log, not for the client.
package control

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Store is what control needs of the database. It does not check who asks.
type Store interface {
	queue.Jobs
	taskStore
	registryStore
	historyStore
	connectorStore
	externalStore
	hookStore
	scheduleStore
	notificationStore
}

// taskStore keeps tasks. What the methods promise is said where they are implemented.
type taskStore interface {
	CreateTaskWithin(ctx context.Context, k task.Task, most int, by task.Actor) (task.Task, error)
	ChangeTask(ctx context.Context, k task.Task, by task.Actor) (task.Task, error)
	DeleteTask(ctx context.Context, id task.ID, by task.Actor) error
	Task(ctx context.Context, id task.ID) (task.Task, error)
	TaskNamed(ctx context.Context, project task.ProjectID, name string) (task.Task, error)
	Tasks(ctx context.Context, project task.ProjectID, after task.ID, limit int) ([]task.Task, error)
}

// registryStore keeps endpoints, access keys and the answers to repeated requests.
type registryStore interface {
	PutEndpoint(ctx context.Context, e task.Endpoint, by task.Actor) (task.Endpoint, error)
	Endpoint(ctx context.Context, project task.ProjectID, id task.EndpointID) (task.Endpoint, error)
	Endpoints(ctx context.Context, project task.ProjectID) ([]task.Endpoint, error)
	DeleteEndpoint(ctx context.Context, project task.ProjectID, id task.EndpointID, by task.Actor) error

	CreateKey(ctx context.Context, k task.AccessKey, by task.Actor) (task.AccessKey, error)
	Key(ctx context.Context, id task.KeyID) (task.AccessKey, error)
	Keys(ctx context.Context, project task.ProjectID) ([]task.AccessKey, error)
	DeleteKey(ctx context.Context, id task.KeyID, by task.Actor) error
	NoteToken(ctx context.Context, k task.AccessKey, expires time.Time, by task.Actor) error

	BeginOnce(ctx context.Context, project task.ProjectID, key string, request []byte, giveUp time.Duration) ([]byte, error)
	FinishOnce(ctx context.Context, project task.ProjectID, key string, answer []byte) error
}

// historyStore reads what became of the work.
type historyStore interface {
	Job(ctx context.Context, id task.JobID) (task.Job, error)
	Jobs(ctx context.Context, project task.ProjectID, f history.JobFilter) ([]task.Job, error)
	Failures(ctx context.Context, id task.ID, f history.FailureFilter, after int64, limit int) ([]history.Failure, error)
	Intervals(ctx context.Context, id task.ID, from, to time.Time, namedOnly bool) ([]history.Span, error)
	Month(ctx context.Context, id task.ID, at time.Time, namedOnly bool) (task.Counts, error)
	Total(ctx context.Context, id task.ID, namedOnly bool) (task.Counts, error)
	Reasons(ctx context.Context, id task.ID, job task.JobID) (map[task.Outcome]map[task.Reason]int64, error)
	Watermarks(ctx context.Context, id task.ID) (history.Watermarks, error)
	ProveJob(ctx context.Context, id task.JobID) (history.Proof, error)
	ProveTask(ctx context.Context, id task.ID) (history.Proof, error)
	KeyState(ctx context.Context, id task.ID, key string) (*queue.Record, []history.Failure, error)
	Audit(ctx context.Context, project task.ProjectID, before int64, limit int) ([]history.AuditEntry, error)
	VerifyAudit(ctx context.Context) (entries, broken int64, err error)
}

// Config is what a Control works with. Store, Accept and Box are needed.
type Config struct {
	Store  Store
	Accept queue.Acceptor
	Box    *secret.Box
	// Stores opens buckets; nil: whatever needs one is Unavailable.
	Stores Stores
	// Hosts are those whose domains clients may have as CDNs of sources; empty: none.
	Hosts Hosts
	// KeyRate is how many requests a second one access key may make, in bursts of up to
	// two seconds' worth. 0: 10,000; negative: no limit.
	KeyRate float64
	// KeysFresh is how long other nodes' changes to access keys may stay unseen; 0: 10 s.
	KeysFresh time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Control answers clients. It may be used concurrently.
type Control struct {
	cfg   Config
	store Store
	keys  keyring

	// seen remembers tasks that events name, for a few seconds.
	seen sync.Map // taskRef → seenTask
	// hooks remembers those that tokens name, for as long.
	hooks sync.Map // SHA-256 of a token → seenTask
	// hooksForgotten counts how often some of hooks were dropped.
	hooksForgotten atomic.Int64
}

// New returns a Control. It starts nothing.
func New(cfg Config) *Control {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.KeyRate == 0 {
		cfg.KeyRate = 10_000
	}
	if cfg.KeysFresh == 0 {
		cfg.KeysFresh = 10 * time.Second
	}
	c := &Control{cfg: cfg, store: cfg.Store}
	c.keys.init(c)
	return c
}
