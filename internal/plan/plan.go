// Package plan decides, from what two listings say, what must happen to each
// key. It is pure: it reads no store and holds no state beyond its arguments.
package plan

import (
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Verb is what to do with a key.
type Verb uint8

// The verbs.
const (
	Ignore  Verb = iota // nothing; Reason says why
	Copy                // make the destination like the source
	Compare             // read both sides; copy when the contents differ
	Delete              // remove at the destination; staged until the guard agrees
	// Leave: nobody asked for the key, so it is counted nowhere, not even as
	// requested. Only keys missing at the source: deletes are off, or a rule excludes it.
	Leave
)

// Decision is the verdict on one key.
type Decision struct {
	Verb   Verb
	Reason task.Reason // set when Verb is Ignore
	Rule   int         // number (from 1) of the filter rule that matched; 0 when none did
}

// Item is a key with its verdict and what the listings said. An absent side has
// a zero Object; Absent tells.
type Item struct {
	Decision
	Key string
	Src objstore.Object
	Dst objstore.Object
	// SrcAbsent and DstAbsent say that a side's listing does not hold the key.
	SrcAbsent, DstAbsent bool
}
