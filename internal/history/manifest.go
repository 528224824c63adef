package history

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ManifestName is the file that closes a job's lists.
const ManifestName = "manifest.json"

// Manifest is the proof of one job: what was asked, how it ended, and the hash of
// every list that names the keys.
type Manifest struct {
	Version     int       `json:"version"` // of this format: 1
	Job         string    `json:"job"`
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended"`
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	DryRun      bool      `json:"dry_run,omitempty"` // lists say what would have been done
	Complete    bool      `json:"complete"`          // false: the job was stopped before its end
	Counts      Counts    `json:"counts"`
	// Reasons counts outcomes by reason, Unlisted the ignored keys among them that
	// were counted and are named in no list.
	Reasons  map[task.Reason]int64 `json:"reasons"`
	Unlisted map[task.Reason]int64 `json:"unlisted,omitempty"`
	Lost     map[string]int64      `json:"lost,omitempty"` // what the destination did not keep, by name

	Synced  []List `json:"success_object_lists"`
	Failed  []List `json:"failed_object_lists"`
	Ignored []List `json:"skip_object_lists"`
	// Received and Retried are lists that only a task's jobs have.
	Received []List `json:"object_lists,omitempty"`
	Retried  []List `json:"retried_object_lists,omitempty"`
}

// Counts are a job's totals.
type Counts struct {
	Requested int64 `json:"requested"` // synced + failed + ignored + pending
	Synced    int64 `json:"synced"`
	Failed    int64 `json:"failed"`
	Ignored   int64 `json:"ignored"`
	Pending   int64 `json:"pending"` // not settled when the job was stopped
	Bytes     int64 `json:"bytes"`   // of synced objects, at the destination
	Deleted   int64 `json:"deleted"` // the part of Synced that was deleted
	Unchanged int64 `json:"unchanged"`
}

// mayBeUnlisted are the verdicts of a comparison, which a job may count without
// naming the keys: there can be as many as there are objects. Every other ignored
// key is in a list.
var mayBeUnlisted = []task.Reason{task.UpToDate, task.UpToDateButDifferent, task.Excluded, task.DestinationExists}

// check says what in the manifest contradicts itself.
func (m Manifest) check() []error {
	var errs []error
	c := m.Counts
	differ := func(what string, lines, counted int64) {
		if lines != counted {
			errs = append(errs, fmt.Errorf("%s: lists have %d lines, counted are %d", what, lines, counted))
		}
	}
	if sum := c.Synced + c.Failed + c.Ignored + c.Pending; sum != c.Requested || c.Pending < 0 {
		errs = append(errs, fmt.Errorf("requested %d is not synced %d + failed %d + ignored %d + pending %d",
			c.Requested, c.Synced, c.Failed, c.Ignored, c.Pending))
	}
	if m.Complete && c.Pending != 0 {
		errs = append(errs, fmt.Errorf("the job went to its end, but %d keys are pending", c.Pending))
	}
	var unlisted int64
	for reason, n := range m.Unlisted {
		if n < 0 || !slices.Contains(mayBeUnlisted, reason) {
			errs = append(errs, fmt.Errorf("%s: %d keys too few are listed", reason, n))
		}
		unlisted += n
	}
	differ("synced", lines(m.Synced), c.Synced)
	differ("failed", lines(m.Failed)-lines(m.Retried), c.Failed)
	differ("ignored", lines(m.Ignored)+unlisted, c.Ignored)
	return errs
}

func lines(lists []List) int64 {
	var n int64
	for _, l := range lists {
		n += l.Lines
	}
	return n
}

// writeManifest makes dir/manifest.json in one step: a reader sees none or all of it.
func writeManifest(dir string, m Manifest) error {
	f, err := os.CreateTemp(dir, "."+ManifestName+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when the rename succeeded
	err = encodeManifest(f, m)
	if err == nil {
		err = f.Chmod(fileMode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, ManifestName))
	}
	return err
}

func encodeManifest(w io.Writer, m Manifest) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(m)
}

// ReadManifest reads dir/manifest.json. The error is fs.ErrNotExist when the job
// of dir never ended.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	raw, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("read %s: %w", ManifestName, err)
	}
	if m.Version != 1 {
		return m, fmt.Errorf("read %s: version %d is not known", ManifestName, m.Version)
	}
	return m, nil
}
