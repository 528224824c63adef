package task

import "time"

// Limits of what a task accepts.
const (
	// MaxKeyBytes is the longest key that can wait in the queue. S3 ends at 1,024;
	// the rest is room for stores whose limit is in characters. It is what fits into
	// an index entry of every supported database.
	MaxKeyBytes = 2048
	// MaxBatchKeys is the most keys of one acceptance.
	MaxBatchKeys = 1000
	// EventsJobAge and EventsJobRecords close a job of kind events, whichever comes first.
	EventsJobAge     = 5 * time.Minute
	EventsJobRecords = 100_000
)

// Interval is the width of the statistics' shortest span, in UTC.
const Interval = 5 * time.Minute

// CheckKey says whether key can be accepted. Keys are opaque bytes: every byte
// is allowed, the empty key is not.
func CheckKey(key string) error {
	switch {
	case key == "":
		return &Error{Kind: Invalid, Code: "KEY_EMPTY", Text: "a key is empty", Next: "name the object by its whole key"}
	case len(key) > MaxKeyBytes:
		return Errorf(Invalid, "a key has %d bytes; at most %d are accepted", len(key), MaxKeyBytes)
	}
	return nil
}

// ShardOf is the lane of key in a task with this many shards: FNV-1a with a
// final mix. It never changes, since rows waiting in a database were placed by it.
func ShardOf(key string, shards int) int {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return int(h % uint64(max(shards, 1)))
}
