package task

import (
	"cmp"
	"slices"
	"time"
)

// State is whether a task works and accepts.
type State string

// The states of a task.
const (
	Active  State = "active"
	Paused  State = "paused"  // accepts events and keeps them
	Stopped State = "stopped" // refuses events
)

// Dialect is one of the APIs.
type Dialect string

// The dialects.
const (
	Native    Dialect = "native" // /api/v1
	OMS       Dialect = "oms"
	Elastic   Dialect = "elastic"
	DIDSpaces Dialect = "didspaces"
)

// DefaultShards is how many lanes a task has unless its creator says otherwise.
const DefaultShards = 16

// Task is a standing rule: keep the destination like the source.
type Task struct {
	ID          ID
	Project     ProjectID
	Name        string
	Description string
	Source      Location
	Destination Location
	State       State
	// Shards is the number of lanes; fixed at creation.
	Shards  int
	Options Options
	// Origin is the dialect that made the task.
	Origin Dialect
	// Ext holds what a dialect keeps beside the task, as JSON objects.
	Ext map[Dialect][]byte
	// Sealed holds credentials for its places, of endpoints that have none of their own;
	// only the secret package can open it. Empty: none.
	Sealed []byte

	CreatedAt time.Time
	StartedAt time.Time // the last time it became active
	ChangedAt time.Time
	// Version rises with every change; a change must name the version it read.
	Version int64
}

// Location is a place in a store: a bucket, or the part of one below a prefix.
type Location struct {
	Endpoint EndpointID `json:"endpoint"`
	Bucket   string     `json:"bucket"`
	Prefix   string     `json:"prefix,omitempty"`
}

// Overlaps says whether a key can be in both places.
func (l Location) Overlaps(m Location) bool {
	if l.Endpoint != m.Endpoint || l.Bucket != m.Bucket {
		return false
	}
	n := min(len(l.Prefix), len(m.Prefix))
	return l.Prefix[:n] == m.Prefix[:n]
}

// Options are a task's rules. The zero value is the default of each. It is
// stored as JSON: a field may be added, never renamed.
type Options struct {
	Compare string   `json:"compare,omitempty"` // a plan.Mode; empty: auto
	Deletes bool     `json:"deletes,omitempty"`
	Guard   Guard    `json:"guard,omitzero"`
	Filter  []string `json:"filter,omitempty"` // ordered rules as text; the first that matches decides

	ListUnchanged       bool `json:"list_unchanged,omitempty"` // lists name unchanged objects too
	GoneIsFailed        bool `json:"gone_is_failed,omitempty"` // a named key gone at the source is failed, not ignored
	FallbackLiteralPlus bool `json:"fallback_literal_plus,omitempty"`

	// PlainContent leaves behind what an object has beside its bytes, Content-Type and
	// Content-Encoding excepted.
	PlainContent bool `json:"plain_content,omitempty"`
	// StorageClass is the destination's class for what is written; empty: the store's
	// default. KeepClass is the source object's.
	StorageClass string `json:"storage_class,omitempty"`

	// SourceCDN is where the bytes of the source's objects are read from; zero: the source
	// itself.
	SourceCDN CDN `json:"source_cdn,omitzero" doc:"A domain that serves the source's objects, where the operator allows it: their bytes are read there. It changes only while the task is stopped"`
	// Verify is what is checked of a copy once it is there; empty: nothing but what costs
	// no request, the checksums and ETags that both stores tell with their answers.
	Verify Verify `json:"verify,omitempty" enum:"size_last_modified,crc64,transmission" doc:"What is checked of a copy once it is there, beside the checksums and ETags that cost no request. size_last_modified: same size, and a destination that is not older; crc64: equal checksums of the stores, else like the former; transmission: nothing more, as without it. A copy that fails the check is failed with DST_INCONSISTENT"`
	// Restore asks archived source objects back and waits for them.
	Restore bool `json:"restore,omitempty" doc:"Ask archived source objects back for three days, and wait for each, three minutes unless the service says otherwise; without it they fail at once with SRC_ARCHIVED"`
	// Encrypt is how the destination is to encrypt what is written: objstore.EncryptKMS;
	// empty: as its bucket says.
	Encrypt string `json:"encrypt,omitempty" enum:"aws:kms" doc:"How the destination is to encrypt what is written: aws:kms is SSE-KMS with the bucket's default key, else the service's. Objects that the destination does not encrypt so fail with DST_NOT_ENCRYPTED"`

	Concurrency int      `json:"concurrency,omitempty"` // most objects in flight; 0 adapts
	Bandwidth   []Window `json:"bandwidth,omitempty"`
	Schedule    Schedule `json:"schedule,omitzero"`
}

// SameScope says whether scans by both look at the same keys in the same way, so that one
// proves something for the other.
func (o *Options) SameScope(p *Options) bool {
	const auto = "auto"
	return cmp.Or(o.Compare, auto) == cmp.Or(p.Compare, auto) && o.Deletes == p.Deletes && slices.Equal(o.Filter, p.Filter) &&
		o.Encrypt == p.Encrypt // ETags that are no MD5 are not compared
}

// Verify is a check of copies.
type Verify string

// The checks of copies.
const (
	VerifySizeTime     Verify = "size_last_modified" // same size, and a destination that is not older
	VerifyCRC64        Verify = "crc64"              // equal checksums of the stores; else like VerifySizeTime
	VerifyTransmission Verify = "transmission"       // none: what was sent and taken is there
)

// Guard limits the deletes of one scan, and of one hour of events.
// The zero value uses the defaults of plan.Guard.
type Guard struct {
	MaxDeletes int64   `json:"max_deletes,omitempty"`
	MaxPercent float64 `json:"max_percent,omitempty"`
}

// Window limits bandwidth during a part of the day, both ends included.
type Window struct {
	From           string `json:"from"` // "15:04" in Zone
	To             string `json:"to"`
	Zone           string `json:"zone,omitempty"` // IANA name; empty: UTC
	BytesPerSecond int64  `json:"bytes_per_second"`
}

// Schedule starts scans by the clock. The zero value never does.
type Schedule struct {
	Cron string `json:"cron,omitempty"` // five fields
	Zone string `json:"zone,omitempty"` // IANA name; empty: UTC
	// Missed says what to do about a start that was missed while nobody ran: "run"
	// (once, at once) or "skip". Empty: run.
	Missed string `json:"missed,omitempty"`
}

// KeepClass as a storage class gives every object the class that it has at the source.
const KeepClass = "source"
