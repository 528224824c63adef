package history

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Directories of the lists, as OMS names them.
const (
	SyncedDir  = "success_object_lists"
	FailedDir  = "failed_object_lists"
	IgnoredDir = "skip_object_lists"
)

// A list rolls at whichever comes first. OMS ends a failed list at 100,000 lines.
const (
	maxListLines = 100_000
	maxListBytes = 64 << 20
)

// maxCause bounds the bytes of a failed line's cause: some stores answer with whole pages.
const maxCause = 1000

const (
	dirMode  fs.FileMode = 0o755
	fileMode fs.FileMode = 0o644
)

// ReportMeta describes the job of a report.
type ReportMeta struct {
	Job         string    // made up when empty
	Started     time.Time // now when zero
	Source      string    // without secrets
	Destination string    // without secrets
	DryRun      bool
}

// ReportCounts close a report. What was requested and has not ended is pending.
type ReportCounts struct {
	Requested, Synced, Failed, Ignored, Unchanged, Deleted int64

	Bytes    int64                 // of synced objects, at the destination
	ByReason map[task.Reason]int64 // synced, failed and ignored
	Lost     map[string]int64      // what the destination did not keep, by name
	Complete bool                  // the run went to its end
}

// Report writes the lists of one run below a directory, and the manifest at its
// end. Memory is constant. Synced, Deleted, Failed and Ignored may be called by
// many goroutines; what they cannot write, Close reports. It lists what it is
// told: which ignored keys are worth a line is the caller's decision.
type Report struct {
	dir                     string
	meta                    ReportMeta
	synced, failed, ignored *list
}

// NewReport prepares dir, which it makes when it is not there. A manifest of an
// earlier run stays beside the new one as "<epoch ms>.manifest.json".
func NewReport(dir string, meta ReportMeta) (*Report, error) {
	if meta.Job == "" {
		meta.Job = rand.Text()
	}
	if meta.Started.IsZero() {
		meta.Started = time.Now()
	}
	err := retireManifest(dir)
	for _, name := range []string{SyncedDir, FailedDir, IgnoredDir} {
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, name), dirMode)
		}
	}
	if err != nil {
		return nil, err
	}
	open := func(sub, suffix string) *list {
		return &list{dir: dir, sub: sub, suffix: suffix, stamp: meta.Started.UnixMilli(), byReason: map[task.Reason]int64{}}
	}
	return &Report{
		dir: dir, meta: meta,
		synced:  open(SyncedDir, ".success_list.txt"),
		failed:  open(FailedDir, ".failed_list.txt"),
		ignored: open(IgnoredDir, ".skip_list.txt"),
	}, nil
}

func retireManifest(dir string) error {
	old, err := ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name := strconv.FormatInt(old.Started.UnixMilli(), 10) + "." + ManifestName
	return os.Rename(filepath.Join(dir, ManifestName), filepath.Join(dir, name))
}

func unwritable(err error) error {
	return &task.Error{
		Kind: task.Unavailable, Code: "REPORT_NOT_WRITTEN", Text: "the report cannot be written: " + err.Error(),
		Next: "choose a directory for the report that can be written and has room", Err: err,
	}
}

// Synced records a copied object; size is that at the destination.
func (r *Report) Synced(key string, size int64, at time.Time) {
	r.synced.add(task.Copied, size, func(dst []byte) []byte { return SyncedLine{At: at, Key: key, Size: size}.Append(dst) })
}

// Deleted records an object removed at the destination; it counts as synced.
func (r *Report) Deleted(key string, at time.Time) {
	r.synced.add(task.Deleted, 0, func(dst []byte) []byte { return SyncedLine{At: at, Key: key, Deleted: true}.Append(dst) })
}

// Failed records a failure. cause and storeCode, the store's own code, may be
// empty and hold no secret. A long cause is cut.
func (r *Report) Failed(key string, reason task.Reason, cause error, storeCode string, at time.Time) {
	var text string
	if cause != nil {
		text = cause.Error()
	}
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	r.failed.add(reason, 0, func(dst []byte) []byte {
		return FailedLine{Reason: reason, Cause: text, At: at, Key: key, StoreCode: storeCode}.Append(dst)
	})
}

// Ignored records a key that was left alone, and the number of the filter rule
// that decided so, 0 when none did.
func (r *Report) Ignored(key string, reason task.Reason, rule int, size int64, at time.Time) {
	r.ignored.add(reason, 0, func(dst []byte) []byte {
		return IgnoredLine{At: at, Key: key, Size: size, Reason: reason, Rule: rule}.Append(dst)
	})
}

// Close ends the lists and writes the manifest. The error is *task.Error with code
// REPORT_NOT_WRITTEN, or REPORT_MISMATCH when the lists do not hold what c counts;
// the manifest is there in the second case. Nothing may be recorded afterwards.
func (r *Report) Close(c ReportCounts) error {
	m := Manifest{
		Version: 1, Job: r.meta.Job, Started: r.meta.Started.UTC(), Ended: time.Now().UTC(),
		Source: r.meta.Source, Destination: r.meta.Destination, DryRun: r.meta.DryRun, Complete: c.Complete,
		Counts: Counts{
			Requested: c.Requested, Synced: c.Synced, Failed: c.Failed, Ignored: c.Ignored,
			Pending: c.Requested - c.Synced - c.Failed - c.Ignored, Bytes: c.Bytes, Deleted: c.Deleted, Unchanged: c.Unchanged,
		},
		Reasons: c.ByReason, Lost: c.Lost,
	}
	var errs [3]error
	m.Synced, errs[0] = r.synced.close()
	m.Failed, errs[1] = r.failed.close()
	m.Ignored, errs[2] = r.ignored.close()
	m.Unlisted = r.unlisted(c.ByReason)
	err := errors.Join(errs[:]...)
	if err == nil {
		err = writeManifest(r.dir, m)
	}
	if err != nil {
		return unwritable(err)
	}
	seen := recount{bytes: r.synced.sum, reasons: map[task.Reason]int64{}}
	for _, l := range []*list{r.synced, r.failed, r.ignored} {
		for reason, n := range l.byReason {
			seen.reasons[reason] += n
		}
	}
	if err := errors.Join(append(m.check(), seen.compare(m)...)...); err != nil {
		return mismatch(err)
	}
	return nil
}

// unlisted are the counted keys that have no line although their reason lets them.
func (r *Report) unlisted(counted map[task.Reason]int64) map[task.Reason]int64 {
	out := map[task.Reason]int64{}
	for _, reason := range mayBeUnlisted {
		if n := counted[reason] - r.ignored.byReason[reason]; n != 0 {
			out[reason] = n
		}
	}
	return out
}

func mismatch(err error) error {
	return &task.Error{
		Kind: task.Internal, Code: "REPORT_MISMATCH", Text: "counts and lists of the report disagree: " + err.Error(),
		Next: "keep the report's directory and tell us", Err: err,
	}
}

// list is a sequence of files "<epoch ms>[_n]<suffix>" below dir/sub.
type list struct {
	dir, sub, suffix string
	stamp            int64 // epoch ms of all its files

	mu      sync.Mutex
	file    *os.File // nil before the first line and after a roll
	name    string   // of file, below dir
	w       *ListWriter
	scratch []byte
	done    []List
	opened  int
	err     error // the first one; no line is written after it
	closed  bool

	sum      int64                 // of the sizes given to add
	byReason map[task.Reason]int64 // lines
}

var errClosed = errors.New("a key ended after its report was closed")

// add writes one line and counts it.
func (l *list) add(reason task.Reason, size int64, line func(dst []byte) []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && l.closed {
		l.err = errClosed
	}
	if l.err == nil && l.file == nil {
		l.err = l.open()
	}
	if l.err != nil {
		return
	}
	l.scratch = line(l.scratch[:0])
	l.sum += size
	l.byReason[reason]++
	if _, l.err = l.w.Write(l.scratch); l.err == nil && (l.w.lines >= maxListLines || l.w.size >= maxListBytes) {
		l.err = l.finish()
	}
}

// open makes the next file. A file of another run with this stamp moves the stamp on.
func (l *list) open() error {
	for {
		l.name = l.sub + "/" + strconv.FormatInt(l.stamp, 10)
		if l.opened > 0 {
			l.name += "_" + strconv.Itoa(l.opened+1)
		}
		l.name += l.suffix
		f, err := os.OpenFile(filepath.Join(l.dir, l.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		if errors.Is(err, fs.ErrExist) {
			l.stamp++
			continue
		}
		if err != nil {
			return err
		}
		l.file, l.w = f, NewListWriter(f)
		l.opened++
		return nil
	}
}

// finish ends the current file, durably: the manifest will vouch for it.
func (l *list) finish() error {
	done, err := l.w.Finish(l.name)
	if err == nil {
		err = l.file.Sync()
	}
	if closeErr := l.file.Close(); err == nil {
		err = closeErr
	}
	l.file = nil
	l.done = append(l.done, done)
	return err
}

func (l *list) close() ([]List, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	l.closed = true
	if l.file != nil {
		if err := l.finish(); l.err == nil {
			l.err = err
		}
	}
	return append([]List{}, l.done...), l.err
}
