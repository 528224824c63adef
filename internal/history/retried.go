package history

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// RetriedLine takes back one line of a failed list: time, encoded name, name, and
// the reason that no longer holds. What the record ended as instead is another line.
type RetriedLine struct {
	At     time.Time
	Key    string
	Reason task.Reason
}

// Append appends the line, its LF included.
func (l RetriedLine) Append(dst []byte) []byte {
	dst = l.At.UTC().AppendFormat(dst, timeFormat)
	dst = appendEncoded(append(dst, '\t'), l.Key, "")
	dst = appendEscaped(append(dst, '\t'), l.Key)
	dst = append(append(dst, '\t'), l.Reason...)
	return append(dst, '\n')
}

// ParseRetriedLine reads a line of a retried list, without its LF.
func ParseRetriedLine(line []byte) (RetriedLine, error) {
	var l RetriedLine
	col := strings.Split(string(line), "\t")
	if len(col) != 4 {
		return l, fmt.Errorf("retried line: %d columns instead of 4", len(col))
	}
	var err error
	if l.At, err = parseTime(col[0]); err != nil {
		return l, fmt.Errorf("retried line: %w", err)
	}
	encoded, err := url.QueryUnescape(col[1])
	if err != nil {
		return l, fmt.Errorf("retried line: encoded name: %w", err)
	}
	if l.Key, err = unescape(col[2]); err != nil || l.Key != encoded {
		return l, fmt.Errorf("retried line: the two names differ: %w", orInvalid(err))
	}
	l.Reason = task.Reason(col[3])
	return l, nil
}

// AppendReceived appends a line of a list of received names, its LF included: the
// encoded name as in a failed line, so that the list can be fed back.
func AppendReceived(dst []byte, key, otherwise string) []byte {
	return append(appendEncoded(dst, key, otherwise), '\n')
}
