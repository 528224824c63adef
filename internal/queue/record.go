package queue

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Record is a pending key as a lane gets it. A settlement gives it back unchanged:
// Seq names this version of the row and nothing else, ever.
type Record struct {
	Key        string
	Seq        int64
	Class      Class
	AcceptedAt time.Time
	NextAt     time.Time
	Attempts   int         // failed so far; looks at an object that is being restored are none
	Reason     task.Reason // of the last such attempt
	Missed     bool        // found by a scan although the task gets events
	// RestoringAt is when its object was asked back from an archive; zero: it was not.
	RestoringAt time.Time
	Known       Known

	// JobNum, RetryNum and FailedSeq are the store's own: the job that requested the
	// record, and for a new attempt of a failed record the retry job and the record.
	JobNum    int64
	RetryNum  int64
	FailedSeq int64
}

// Known is what the producer of a record knew. The zero value knows nothing, as
// events do. It is a hint: the lane looks again before it acts.
type Known struct {
	Verb plan.Verb
	Rule int // number of the filter rule that matched; 0 when none did
	Src  Side
	Dst  Side
	// Otherwise is the key that is to be synced when the source does not hold the
	// record's; empty: none.
	Otherwise string
}

// Side is an object as a listing showed it.
type Side struct {
	Listed  bool // a listing covered the key
	Absent  bool // and did not hold it
	Size    int64
	ETag    string
	ModTime time.Time
}

const (
	knownFormat     = 1
	otherwiseFormat = 2 // Otherwise alone
)

// Append appends the stored form of k: nothing for the zero value. Events with an
// Otherwise know nothing else.
func (k Known) Append(dst []byte) []byte {
	if k == (Known{}) {
		return dst
	}
	if k.Otherwise != "" {
		return append(append(dst, otherwiseFormat), k.Otherwise...)
	}
	dst = append(dst, knownFormat, byte(k.Verb))
	dst = binary.AppendUvarint(dst, uint64(k.Rule))
	return k.Dst.append(k.Src.append(dst))
}

// NamesOther says whether hints in their stored form are an Otherwise. It outlives its
// record: when the same key is named again without one, the object that the earlier
// client may have meant is still to be found.
func NamesOther(known []byte) bool { return len(known) > 1 && known[0] == otherwiseFormat }

func (s Side) append(dst []byte) []byte {
	switch {
	case !s.Listed:
		return append(dst, 0)
	case s.Absent:
		return append(dst, 1)
	}
	dst = binary.AppendUvarint(append(dst, 2), uint64(s.Size))
	var at int64
	if !s.ModTime.IsZero() {
		at = s.ModTime.UnixNano()
	}
	dst = binary.AppendVarint(dst, at)
	dst = binary.AppendUvarint(dst, uint64(len(s.ETag)))
	return append(dst, s.ETag...)
}

var errKnown = errors.New("queue: stored hints are damaged")

// ParseKnown reads what Append wrote.
func ParseKnown(b []byte) (Known, error) {
	var k Known
	if len(b) == 0 {
		return k, nil
	}
	if NamesOther(b) {
		k.Otherwise = string(b[1:])
		return k, nil
	}
	if len(b) < 3 || b[0] != knownFormat {
		return k, errKnown
	}
	k.Verb = plan.Verb(b[1])
	rule, n := binary.Uvarint(b[2:])
	if n <= 0 || rule > 1<<31-1 {
		return Known{}, errKnown
	}
	k.Rule = int(rule)
	rest, ok := k.Src.parse(b[2+n:])
	if ok {
		rest, ok = k.Dst.parse(rest)
	}
	if !ok || len(rest) != 0 {
		return Known{}, errKnown
	}
	return k, nil
}

func (s *Side) parse(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] > 2 {
		return nil, false
	}
	s.Listed, s.Absent = b[0] > 0, b[0] == 1
	if b[0] < 2 {
		return b[1:], true
	}
	size, n := binary.Uvarint(b[1:])
	if n <= 0 || size > 1<<63-1 {
		return nil, false
	}
	s.Size, b = int64(size), b[1+n:]
	at, n := binary.Varint(b)
	if n <= 0 {
		return nil, false
	}
	if b = b[n:]; at != 0 {
		s.ModTime = time.Unix(0, at).UTC()
	}
	size, n = binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, false
	}
	b = b[n:]
	s.ETag = string(b[:size])
	return b[size:], true
}
