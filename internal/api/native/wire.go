package native

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Key is a key on the wire: JSON strings are text, keys are bytes.
type Key struct {
	Key    string `json:"key,omitempty" doc:"The key, when it is UTF-8"`
	Base64 []byte `json:"key_base64,omitempty" doc:"The key in base64, when it is not UTF-8"`
}

func keyOf(key string) Key {
	if utf8.ValidString(key) {
		return Key{Key: key}
	}
	return Key{Base64: []byte(key)}
}

// bytes returns the key. Invalid: both forms are given.
func (k Key) bytes() (string, error) {
	if k.Key != "" && len(k.Base64) > 0 {
		return "", &task.Error{Kind: task.Invalid, Code: "KEY_TWICE", Text: "key and key_base64 are both given", Next: "give one of them"}
	}
	return k.Key + string(k.Base64), nil
}

// Location is a place in a store.
type Location struct {
	Endpoint     string `json:"endpoint"`
	Bucket       string `json:"bucket"`
	Prefix       string `json:"prefix,omitempty" doc:"Keys begin with it; they are named without it"`
	PrefixBase64 []byte `json:"prefix_base64,omitempty" doc:"The prefix in base64, when it is not UTF-8"`
}

func locationOf(l task.Location) Location {
	k := keyOf(l.Prefix)
	return Location{string(l.Endpoint), l.Bucket, k.Key, k.Base64}
}

func (l Location) place() (task.Location, error) {
	prefix, err := Key{l.Prefix, l.PrefixBase64}.bytes()
	return task.Location{Endpoint: task.EndpointID(l.Endpoint), Bucket: l.Bucket, Prefix: prefix}, err
}

// Task is a task as clients get it.
type Task struct {
	ID          task.ID      `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitempty"`
	Source      Location     `json:"source"`
	Destination Location     `json:"destination"`
	State       task.State   `json:"state" enum:"active,paused,stopped"`
	Shards      int          `json:"shards"`
	Options     task.Options `json:"options"`
	Origin      task.Dialect `json:"origin" doc:"The API that made it"`
	CreatedAt   time.Time    `json:"created_at"`
	StartedAt   *time.Time   `json:"started_at,omitempty" doc:"When it became active last"`
	ChangedAt   time.Time    `json:"changed_at"`
	Version     int64        `json:"version" doc:"Rises with every change"`
	NextRun     *time.Time   `json:"next_run,omitempty" doc:"The next scan by the schedule"`

	Project task.ProjectID `json:"project" doc:"The tenant, which the paths of the OMS API name"`
}

func taskOf(k task.Task) Task {
	return Task{
		ID: k.ID, Name: k.Name, Description: k.Description, Source: locationOf(k.Source), Destination: locationOf(k.Destination),
		State: k.State, Shards: k.Shards, Options: k.Options, Origin: k.Origin, CreatedAt: k.CreatedAt.UTC(),
		NextRun:   when(control.NextRun(k, time.Now())),
		StartedAt: when(k.StartedAt), ChangedAt: k.ChangedAt.UTC(), Version: k.Version, Project: k.Project,
	}
}

// when is a time that may not have come.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Counts are counts with what is left.
type Counts struct {
	task.Counts
	Pending int64 `json:"pending"`
}

func countsOf(c task.Counts) Counts { return Counts{c, c.Pending()} }

// Job is a job as clients get it.
type Job struct {
	ID        task.JobID    `json:"id"`
	Task      task.ID       `json:"task,omitempty"`
	Origin    task.Dialect  `json:"origin,omitempty" doc:"The API that another program reports an external job through"`
	Subject   string        `json:"subject,omitempty" doc:"What an external job is about, e.g. an app's DID"`
	Kind      task.JobKind  `json:"kind" enum:"scan,events,manifest,retry,verify,external"`
	State     task.JobState `json:"state" enum:"open,closed,cancelling,done,cancelled,stopped,failed"`
	Counts    Counts        `json:"counts"`
	StartedAt time.Time     `json:"started_at"`
	ClosedAt  *time.Time    `json:"closed_at,omitempty" doc:"When it took its last record"`
	EndedAt   *time.Time    `json:"ended_at,omitempty"`
	Why       string        `json:"why,omitempty" doc:"Why it was cancelled, stopped or failed"`
	Listed    bool          `json:"listed" doc:"Its lists and their manifest are in the destination"`
}

func jobOf(j task.Job) Job {
	subject := j.Subject
	if j.Origin == "" {
		subject = "" // the task
	}
	return Job{
		ID: j.ID, Task: j.Task, Origin: j.Origin, Subject: subject, Kind: j.Kind, State: j.State, Counts: countsOf(j.Counts), StartedAt: j.StartedAt.UTC(),
		ClosedAt: when(j.ClosedAt), EndedAt: when(j.EndedAt), Why: j.Why, Listed: j.Listed,
	}
}

// Failure is a failed record.
type Failure struct {
	Key
	Job        task.JobID  `json:"job"`
	Reason     task.Reason `json:"reason"`
	Cause      string      `json:"cause,omitempty"`
	Code       string      `json:"code,omitempty" doc:"The store's own error code"`
	Attempts   int         `json:"attempts"`
	AcceptedAt time.Time   `json:"accepted_at"`
	FirstAt    time.Time   `json:"first_at"`
	LastAt     time.Time   `json:"last_at"`
	Size       int64       `json:"size"`
	Open       bool        `json:"open" doc:"No later record of the key has ended: it can be retried"`
}

func failureOf(f history.Failure) Failure {
	return Failure{
		Key: keyOf(f.Key), Job: f.Job, Reason: f.Reason, Cause: f.Cause, Code: f.Code, Attempts: f.Attempts,
		AcceptedAt: f.AcceptedAt.UTC(), FirstAt: f.FirstAt.UTC(), LastAt: f.LastAt.UTC(), Size: f.Size, Open: f.Open,
	}
}

// Endpoint is an endpoint as clients get it: without its credentials.
type Endpoint struct {
	Name      task.EndpointID `json:"name"`
	Provider  string          `json:"provider"`
	URL       string          `json:"url,omitempty"`
	Region    string          `json:"region,omitempty"`
	Aliases   []string        `json:"aliases,omitempty"`
	Options   json.RawMessage `json:"options,omitempty" doc:"The driver's own"`
	CreatedAt time.Time       `json:"created_at"`
	ChangedAt time.Time       `json:"changed_at"`
	Version   int64           `json:"version"`
}

func endpointOf(e task.Endpoint) Endpoint {
	return Endpoint{e.ID, e.Provider, e.URL, e.Region, e.Aliases, e.Options, e.CreatedAt.UTC(), e.ChangedAt.UTC(), e.Version}
}

// AccessKey is an access key as clients get it. Secret is there once, when it was made.
type AccessKey struct {
	ID        task.KeyID `json:"id"`
	Secret    string     `json:"secret,omitempty" doc:"Shown this once"`
	Name      string     `json:"name,omitempty"`
	Role      task.Role  `json:"role" enum:"viewer,event-only,operator,admin"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func accessKeyOf(k task.AccessKey) AccessKey {
	return AccessKey{ID: k.ID, Name: k.Name, Role: k.Role, CreatedAt: k.CreatedAt.UTC(), ExpiresAt: when(k.ExpiresAt)}
}

// Status is how a task stands.
type Status struct {
	Task   task.ID    `json:"task"`
	Name   string     `json:"name"`
	State  task.State `json:"state"`
	Counts Counts     `json:"counts"`
	InStep bool       `json:"in_step" doc:"Nothing that was heard of is pending or failed"`
	Heard  *time.Time `json:"heard,omitempty" doc:"Every event accepted before it is settled, and none of those is failed"`
	Proven *time.Time `json:"proven,omitempty" doc:"Start of the last scan that ended complete and without failures"`
	Open   int64      `json:"open_failures" maximum:"100000" doc:"Failed records whose key has not ended otherwise since; counted to 100,000"`
	Behind float64    `json:"behind_seconds"`
	Missed float64    `json:"missed_rate" doc:"Share of changes before the last scan that no event told of"`
	// Delayed and Broken say what is in the way.
	Delayed map[task.Reason]int64 `json:"delayed,omitempty" doc:"Why the last attempts ended of records that wait for another, of up to 1,000 of them"`
	Broken  string                `json:"broken_scan,omitempty" doc:"Why the last scan was stopped or failed"`
	Scan    task.JobID            `json:"running_scan,omitempty" doc:"The scan that has not ended"`
	// Obstacle is looked for when keys wait and none has been tried.
	Obstacle string    `json:"obstacle,omitempty" doc:"Why a side cannot be opened, so that nothing is even tried"`
	Lag      *Lag      `json:"lag,omitempty" doc:"Of records synced within the last hour; absent when there were none"`
	At       time.Time `json:"at"`
	Clock    *Clock    `json:"schedule,omitempty" doc:"There when the task has a schedule"`
}

// Clock is what a task does by the clock.
type Clock struct {
	Next    *time.Time `json:"next,omitempty" doc:"The next start; none while the task does not work"`
	LastDue *time.Time `json:"last_due,omitempty" doc:"When a start was due last"`
	Last    string     `json:"last,omitempty" enum:"started,skipped" doc:"What became of it"`
	Job     task.JobID `json:"last_job,omitempty"`
	Why     string     `json:"why,omitempty" doc:"Why it was skipped"`
}

func clockOf(c *control.Clock) *Clock {
	if c == nil {
		return nil
	}
	return &Clock{when(c.Next), when(c.Last.At), c.Last.Outcome, c.Last.Job, c.Last.Why}
}

// Lag is how long records took from their acceptance to the object at the destination.
type Lag struct {
	Records int64   `json:"records"`
	P50     float64 `json:"p50_seconds"`
	P99     float64 `json:"p99_seconds"`
	Max     float64 `json:"max_seconds"`
}

func lagOf(l history.Lag) *Lag {
	if l.Records == 0 {
		return nil
	}
	return &Lag{Records: l.Records, P50: l.P50.Seconds(), P99: l.P99.Seconds(), Max: l.Max.Seconds()}
}

func statusOf(s control.Status) Status {
	return Status{
		Task: s.Task.ID, Name: s.Task.Name, State: s.Task.State, Counts: countsOf(s.Counts), InStep: s.InStep(),
		Heard: when(s.Marks.Heard), Proven: when(s.Marks.Proven), Behind: s.Behind().Seconds(), Missed: s.Marks.Missed,
		Open: s.Marks.Open, Lag: lagOf(s.Marks.Lag), Delayed: s.Marks.Delayed, Broken: s.Marks.Broken, Scan: s.Marks.Scan, Obstacle: s.Obstacle, Clock: clockOf(s.Clock), At: s.At.UTC(),
	}
}

// Span is a part of the statistics.
type Span struct {
	At     time.Time `json:"at"`
	Counts Counts    `json:"counts"`
}

func spanOf(s history.Span) Span { return Span{s.At.UTC(), countsOf(s.Counts)} }

// AuditEntry is a link of the audit chain.
type AuditEntry struct {
	Num     int64           `json:"num"`
	At      time.Time       `json:"at"`
	Actor   task.Actor      `json:"actor"`
	Action  string          `json:"action"`
	Subject string          `json:"subject"`
	Detail  json.RawMessage `json:"detail"`
	Prev    string          `json:"prev" doc:"Hash of the entry before, in hexadecimal"`
	Hash    string          `json:"hash"`
}
