package history

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// VerifyReport recounts and rehashes the lists of the report in dir against its
// manifest, line by line in constant memory. The error names everything that
// does not fit; it is fs.ErrNotExist when the run of dir never ended.
func VerifyReport(dir string) (Manifest, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return m, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return m, err
	}
	defer func() { _ = root.Close() }() // nothing was written
	seen := recount{reasons: map[task.Reason]int64{}}
	problems := m.check()
	for _, kind := range []struct {
		lists []List
		line  func([]byte) error
	}{{m.Synced, seen.synced}, {m.Failed, seen.failed}, {m.Ignored, seen.ignored}} {
		for _, l := range kind.lists {
			if err := verifyList(root, l, kind.line); err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", l.Name, err))
			}
		}
	}
	if len(problems) == 0 {
		problems = seen.compare(m)
	}
	return m, errors.Join(problems...)
}

// recount is what the lines of all lists add up to.
type recount struct {
	bytes   int64
	reasons map[task.Reason]int64
}

func (r *recount) synced(line []byte) error {
	l, err := ParseSyncedLine(line)
	r.bytes += l.Size
	if l.Deleted {
		r.reasons[task.Deleted]++
	} else {
		r.reasons[task.Copied]++
	}
	return err
}

func (r *recount) failed(line []byte) error {
	l, err := ParseFailedLine(line)
	r.reasons[l.Reason]++
	return err
}

func (r *recount) ignored(line []byte) error {
	l, err := ParseIgnoredLine(line)
	r.reasons[l.Reason]++
	return err
}

func (r *recount) compare(m Manifest) []error {
	var errs []error
	if r.bytes != m.Counts.Bytes {
		errs = append(errs, fmt.Errorf("synced: lists name %d bytes, counted are %d", r.bytes, m.Counts.Bytes))
	}
	if r.reasons[task.Deleted] != m.Counts.Deleted {
		errs = append(errs, fmt.Errorf("deleted: lists have %d lines, counted are %d", r.reasons[task.Deleted], m.Counts.Deleted))
	}
	for reason, n := range m.Unlisted {
		r.reasons[reason] += n
	}
	if !sameReasons(r.reasons, m.Reasons) {
		errs = append(errs, fmt.Errorf("reasons: lists have %v, counted are %v", r.reasons, m.Reasons))
	}
	return errs
}

// sameReasons compares counts by reason; a reason counted zero times may be absent.
func sameReasons(a, b map[task.Reason]int64) bool {
	positive := func(m map[task.Reason]int64) map[task.Reason]int64 {
		m = maps.Clone(m)
		maps.DeleteFunc(m, func(_ task.Reason, n int64) bool { return n == 0 })
		return m
	}
	return maps.Equal(positive(a), positive(b))
}

// maxLine bounds a line in memory: a key of 1,024 bytes needs four times that when
// every byte is escaped and three times when encoded; the rest is cause.
const maxLine = 1 << 20

func verifyList(root *os.Root, want List, line func([]byte) error) error {
	f, err := root.Open(want.Name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written
	sum := sha256.New()
	got := List{Name: want.Name}
	in := bufio.NewScanner(io.TeeReader(f, sum))
	in.Buffer(make([]byte, 64<<10), maxLine)
	in.Split(wholeLines)
	for in.Scan() {
		got.Lines++
		got.Size += int64(len(in.Bytes())) + 1
		if err := line(in.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", got.Lines, err)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("after line %d: %w", got.Lines, err)
	}
	got.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if got != want {
		return fmt.Errorf("has %d lines, %d bytes, SHA-256 %s; the manifest says %d, %d, %s",
			got.Lines, got.Size, got.SHA256, want.Lines, want.Size, want.SHA256)
	}
	return nil
}

// wholeLines is bufio.ScanLines without its kindness: CR belongs to the line, and
// a last line without LF is an error.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}
