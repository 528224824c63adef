package history

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NewJobManifest closes the lists of an ended job of a task. The error names
// what does not fit: the job's counts, reasons and lists were not read at one
// moment, or disagree.
func NewJobManifest(k task.Task, j task.Job, reasons map[task.Outcome]map[task.Reason]int64, lists []queue.UploadedList) (Manifest, error) {
	m := Manifest{
		Version: 1, Job: string(j.ID), Started: j.StartedAt.UTC(), Ended: j.EndedAt.UTC(),
		Source: place(k.Source), Destination: place(k.Destination), Complete: j.State == task.JobDone,
		Counts: Counts{
			Requested: j.Counts.Requested, Synced: j.Counts.Synced, Failed: j.Counts.Failed, Ignored: j.Counts.Ignored,
			Pending: j.Counts.Pending(), Bytes: j.Counts.Bytes, Deleted: j.Counts.Deleted, Unchanged: j.Counts.Unchanged,
		},
		Reasons: map[task.Reason]int64{},
		Synced:  []List{}, Failed: []List{}, Ignored: []List{},
	}
	for _, byReason := range reasons {
		for reason, n := range byReason {
			m.Reasons[reason] += n
		}
	}
	into := [...]*[]List{
		queue.ListReceived: &m.Received, queue.ListSynced: &m.Synced, queue.ListFailed: &m.Failed,
		queue.ListIgnored: &m.Ignored, queue.ListRetried: &m.Retried, queue.ListUnstarted: &m.Failed,
	}
	for _, l := range lists {
		name := strings.TrimPrefix(l.Name, ListPlace(k.ID))
		*into[l.Kind] = append(*into[l.Kind], List{Name: name, Lines: l.Lines, Size: l.Bytes, SHA256: hex.EncodeToString(l.SHA256[:])})
	}
	if n := j.Counts.Ignored - lines(m.Ignored); n > 0 {
		m.Unlisted = map[task.Reason]int64{task.UpToDate: n}
	}
	return m, errors.Join(m.check()...)
}

// place is a location as people write it: without keys, it holds no secret.
func place(l task.Location) string { return string(l.Endpoint) + ":" + l.Bucket + "/" + l.Prefix }

// Text is the manifest as it is stored.
func (m Manifest) Text() ([]byte, error) {
	var b bytes.Buffer
	err := encodeManifest(&b, m)
	return b.Bytes(), err
}
