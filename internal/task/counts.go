package task

import "fmt"

// Counts are how many keys were asked for and how they ended: of a job, of a
// 5-minute interval or month, or of a task. Unless said otherwise they count
// records: a key named twice is two records.
type Counts struct {
	Requested int64 `json:"requested"`
	Synced    int64 `json:"synced"`
	Failed    int64 `json:"failed"`
	Ignored   int64 `json:"ignored"`

	Unchanged int64 `json:"unchanged"` // part of Ignored: a scan found both sides equal
	Deleted   int64 `json:"deleted"`   // part of Synced
	Flagged   int64 `json:"flagged"`   // part of Ignored: UpToDateButDifferent
	Missed    int64 `json:"missed"`    // part of Synced: repaired by a scan, no event told of it
	Bytes     int64 `json:"bytes"`     // at the destination, of synced objects
}

// Pending is how many records have not ended.
func (c Counts) Pending() int64 { return c.Requested - c.Synced - c.Failed - c.Ignored }

// Add adds d to c.
func (c *Counts) Add(d Counts) {
	c.Requested += d.Requested
	c.Synced += d.Synced
	c.Failed += d.Failed
	c.Ignored += d.Ignored
	c.Unchanged += d.Unchanged
	c.Deleted += d.Deleted
	c.Flagged += d.Flagged
	c.Missed += d.Missed
	c.Bytes += d.Bytes
}

// Check reports the first rule the counts break: requested = synced + failed +
// ignored + pending with no term below zero, and no part above its whole.
func (c Counts) Check() error {
	for _, t := range [...]struct {
		name  string
		value int64
	}{
		{"requested", c.Requested},
		{"synced", c.Synced},
		{"failed", c.Failed},
		{"ignored", c.Ignored},
		{"pending", c.Pending()},
		{"unchanged", c.Unchanged},
		{"deleted", c.Deleted},
		{"flagged", c.Flagged},
		{"missed", c.Missed},
		{"bytes", c.Bytes},
	} {
		if t.value < 0 {
			return fmt.Errorf("counts: %s is %d in %+v", t.name, t.value, c)
		}
	}
	if c.Unchanged+c.Flagged > c.Ignored {
		return fmt.Errorf("counts: unchanged %d + flagged %d above ignored %d", c.Unchanged, c.Flagged, c.Ignored)
	}
	if c.Deleted > c.Synced || c.Missed > c.Synced {
		return fmt.Errorf("counts: deleted %d or missed %d above synced %d", c.Deleted, c.Missed, c.Synced)
	}
	return nil
}
