package plan

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// What the zero value of a Guard allows.
const (
	DefaultMaxDeletes = 1000 // objects
	DefaultMaxPercent = 10.0 // of the destination's objects
)

// Codes of the errors with which a guard stops deletes.
const (
	CodeDeleteLimit   = "DELETE_LIMIT"
	CodeDeletePercent = "DELETE_PERCENT"
	CodeSourceEmpty   = "SOURCE_EMPTY"
)

// Check judges the deletes of a scan, once every partition of it has ended
// without error. The other two figures are the objects that the scan listed on
// each side. nil lets all of them go on; otherwise none may, and the error is a
// *task.Error of kind Conflict with one of the codes above. No setting lets an
// empty source delete anything: a vanished or mistyped one looks the same.
func (g Guard) Check(deletes, destinationObjects, sourceObjects int64) error {
	if deletes <= 0 {
		return nil
	}
	if sourceObjects <= 0 {
		return stop(CodeSourceEmpty,
			fmt.Sprintf("the source lists no object, so none of the %d deletes at the destination was done", deletes),
			"check the source's bucket and prefix; to empty the destination on purpose, delete there directly")
	}
	maxDeletes, maxPercent := g.MaxDeletes, g.MaxPercent
	if maxDeletes == 0 {
		maxDeletes = DefaultMaxDeletes
	}
	if maxPercent == 0 {
		maxPercent = DefaultMaxPercent
	}
	if maxDeletes > 0 && deletes > maxDeletes {
		return stop(CodeDeleteLimit,
			fmt.Sprintf("%d deletes at the destination are more than the limit of %d, so none was done", deletes, maxDeletes),
			fmt.Sprintf("look at them with --dry-run; if they are meant, allow them with --max-delete %d", deletes))
	}
	// Written so that a limit that is no number stops too.
	if percent := 100 * float64(deletes) / float64(max(destinationObjects, 1)); !(maxPercent < 0 || percent <= maxPercent) {
		return stop(CodeDeletePercent,
			fmt.Sprintf("%d deletes are %s %% of the destination's %d objects, more than the limit of %s %%, so none was done",
				deletes, decimal(percent), destinationObjects, decimal(maxPercent)),
			"look at them with --dry-run; if they are meant, allow them with a higher --max-delete-percent, e.g. 100")
	}
	return nil
}

// StoppedByGuard reports whether err comes from Guard.Check.
func StoppedByGuard(err error) bool {
	var e *task.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code == CodeDeleteLimit || e.Code == CodeDeletePercent || e.Code == CodeSourceEmpty
}

func stop(code, text, next string) error {
	return &task.Error{Kind: task.Conflict, Code: code, Text: text, Next: next}
}

// decimal writes v with at most one digit after the point.
func decimal(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	if n := len(s); n > 2 && s[n-2:] == ".0" {
		return s[:n-2]
	}
	return s
}
