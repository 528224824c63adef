package faulty

import (
	"fmt"
	"time"
)

// Op names an operation of a bucket, as objstore.Error.Op does for the drivers.
type Op string

// The operations. List is called once per page, as a store is asked.
const (
	List       Op = "list"
	Stat       Op = "stat"
	Open       Op = "open"
	ListParts  Op = "list-parts"
	Tags       Op = "tags"
	Probe      Op = "probe"
	Put        Op = "put"
	Create     Op = "create-multipart"
	PutPart    Op = "put-part"
	Complete   Op = "complete-multipart"
	Abort      Op = "abort-multipart"
	Copy       Op = "copy"
	CopyPart   Op = "copy-part"
	Delete     Op = "delete"
	DeleteMany Op = "delete-many"
	SetTags    Op = "set-tags"
	Restore    Op = "restore"
)

// Writes reports whether the operation changes the store.
func (op Op) Writes() bool {
	switch op {
	case List, Stat, Open, ListParts, Tags, Probe:
		return false
	}
	return true
}

// Call is one call of an operation. It is told apart from others by what it asks
// for and how many equal calls came before, not by its place in the whole
// sequence: so it is the same call again in another run, however the goroutines
// interleave.
type Call struct {
	Op Op
	// Key is the object's; for a page of a listing the key it begins after (the
	// prefix at the beginning), for DeleteMany the first of the keys.
	Key string
	// Part is the part number of PutPart and CopyPart; for Open it is the first
	// byte asked for, or the number of the part.
	Part int64
	Nth  int // from 1, among calls of equal Op, Key and Part
}

func (c Call) String() string { return fmt.Sprintf("%s %q/%d #%d", c.Op, c.Key, c.Part, c.Nth) }

// Kind is what goes wrong with a call.
type Kind uint8

// The kinds of faults.
const (
	// None lets the call pass.
	None Kind = iota
	// NotDone fails before the store has done anything. Of a body half is read
	// first, as happens when a connection breaks: the caller must begin anew.
	NotDone
	// ReplyLost does what was asked and fails all the same.
	ReplyLost
	// Torn ends the body of Open after Fault.Bytes bytes. DeleteMany deletes the
	// first half of the keys and reports the others as failed. Other calls: NotDone.
	Torn
	// Throttle is NotDone with ErrThrottled and Fault.Wait as RetryAfter.
	Throttle
	// Corrupt flips one bit of the body of Open, Put or PutPart, in byte Fault.Bytes.
	// Calls without a body, and empty bodies, pass.
	Corrupt
	// Latency waits Fault.Wait, then lets the call pass.
	Latency
)

func (k Kind) String() string {
	return [...]string{"none", "not done", "reply lost", "torn", "throttle", "corrupt", "latency"}[k]
}

// Fault is what goes wrong with one call.
type Fault struct {
	Kind Kind
	// Err is the sentinel of the error; nil is ErrUnavailable, or ErrThrottled.
	Err error
	// Bytes is a place in a body, taken modulo its length; of a negative number the
	// absolute value.
	Bytes int64
	Wait  time.Duration
}
