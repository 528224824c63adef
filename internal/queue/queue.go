// Package queue is what waits to be settled and who works on it: the contracts of
// pending keys, lanes, partitions and the outbox, and the group commit in front of
// them. It holds no SQL: the db package keeps these contracts on SQLite and
// PostgreSQL, and its dbtest suite says what they mean.
//
// A record is one accepted key with one final outcome. Producers (events,
// manifests, retries, scans) enqueue records; a lane, owned by one node at a time,
// works them and settles them. Every write of a lane or a partition names the epoch
// of its lease: one that was taken over changes nothing any more.
package queue

import (
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ErrStale is returned to an owner whose lease has been taken over: nothing was
// changed, and nothing it still does may touch a store.
var ErrStale = errors.New("queue: the lease has been taken over")

// ErrFull is returned to a scan that has enqueued enough for now: nothing was
// changed, and the same page may be committed later.
var ErrFull = errors.New("queue: too many keys of this scan are pending")

// LaneID names one shard of a task's pending keys.
type LaneID struct {
	Task  task.ID
	Shard int
}

// Lane is a leased lane. Only its owner writes below the task's destination, for
// the keys of this shard.
type Lane struct {
	LaneID
	Owner   task.NodeID
	Epoch   int64 // rises with every claim
	Expires time.Time
}

// Class says who asked for a record; statistics keep the classes apart.
type Class int8

// The classes.
const (
	ByEvent Class = iota
	ByManifest
	ByScan
)

// Named says whether a client named the key, as opposed to a scan that found it.
func (c Class) Named() bool { return c != ByScan }

// ClassOf is the class of the records of a job of kind k.
func ClassOf(k task.JobKind) Class {
	switch k {
	case task.EventsJob:
		return ByEvent
	case task.ManifestJob:
		return ByManifest
	default:
		return ByScan
	}
}
