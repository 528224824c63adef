package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// StateFile is an Uploads in a file: one JSON object a line, appended as things
// happen, so that a process that is killed loses at most the last part's line. A
// line that was cut short is ignored. Opening it rewrites it without what ended.
type StateFile struct {
	mu    sync.Mutex
	f     *os.File
	open  map[Target]Upload
	stale map[Target]bool // not found again in this run
}

// line is one event of the file. Keys are bytes, so they travel as base64.
type line struct {
	Do       string         `json:"do"` // begin, part, end
	Service  string         `json:"service"`
	Bucket   string         `json:"bucket"`
	Key      []byte         `json:"key"`
	ID       string         `json:"id,omitempty"`
	SrcETag  string         `json:"src_etag,omitempty"`
	Size     int64          `json:"size,omitempty"`
	PartSize int64          `json:"part_size,omitempty"`
	Encrypt  string         `json:"encrypt,omitempty"`
	Part     *objstore.Part `json:"part,omitempty"`
}

// ErrInUse: another run has the state file.
var ErrInUse = errors.New("another run uses it")

// OpenStateFile reads the file, or makes it, for this process alone: of two that wrote it,
// each would take up and abort the other's uploads, and one would lose what it remembers.
func OpenStateFile(path string) (*StateFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // with its lock, when the new file has one and is in its place
	if err := lockFile(f, path); err != nil {
		return nil, err
	}
	s := &StateFile{open: map[Target]Upload{}, stale: map[Target]bool{}}
	if err := s.read(f); err != nil {
		return nil, fmt.Errorf("read state file %s: %w", path, err)
	}
	return s, s.rewrite(path)
}

// lockFile locks f, which must still be the file at path: who had it may just have put
// another in its place.
func lockFile(f *os.File, path string) error {
	if !tryLock(f) {
		return ErrInUse
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(mine, now) {
		return ErrInUse
	}
	return nil
}

func (s *StateFile) read(r io.Reader) error {
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var l line
		if json.Unmarshal(scan.Bytes(), &l) == nil {
			s.apply(&l)
		}
	}
	return scan.Err()
}

func (s *StateFile) apply(l *line) {
	to := Target{l.Service, l.Bucket, string(l.Key)}
	switch l.Do {
	case "begin":
		s.open[to] = Upload{To: to, ID: l.ID, SrcETag: l.SrcETag, Size: l.Size, PartSize: l.PartSize, Encrypt: l.Encrypt, Parts: map[int]objstore.Part{}}
		s.stale[to] = true
	case "part":
		if u, ok := s.open[to]; ok && l.Part != nil {
			u.Parts[l.Part.Number] = *l.Part
		}
	case "end":
		delete(s.open, to)
		delete(s.stale, to)
	}
}

// rewrite replaces the file by what is still open, in one rename.
func (s *StateFile) rewrite(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	s.f = f
	tryLock(f) // nobody else knows it yet
	for _, u := range s.open {
		err = errors.Join(err, s.append(beginLine(u)))
		for _, p := range u.Parts {
			err = errors.Join(err, s.append(partLine(u.To, p)))
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return nil
}

func (s *StateFile) append(l line) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = s.f.Write(append(b, '\n'))
	}
	return err
}

func beginLine(u Upload) line {
	return line{Do: "begin", Service: u.To.Service, Bucket: u.To.Bucket, Key: []byte(u.To.Key), ID: u.ID, SrcETag: u.SrcETag, Size: u.Size, PartSize: u.PartSize, Encrypt: u.Encrypt}
}

func partLine(to Target, p objstore.Part) line {
	return line{Do: "part", Service: to.Service, Bucket: to.Bucket, Key: []byte(to.Key), Part: &p}
}

// Find implements Uploads.
func (s *StateFile) Find(to Target) (Upload, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stale, to)
	u, ok := s.open[to]
	return u, ok
}

// Begin implements Uploads.
func (s *StateFile) Begin(u Upload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.Parts = map[int]objstore.Part{}
	s.open[u.To] = u
	return s.append(beginLine(u))
}

// Part implements Uploads.
func (s *StateFile) Part(to Target, p objstore.Part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.open[to]; ok {
		u.Parts[p.Number] = p
	}
	return s.append(partLine(to, p))
}

// End implements Uploads.
func (s *StateFile) End(to Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, to)
	return s.append(line{Do: "end", Service: to.Service, Bucket: to.Bucket, Key: []byte(to.Key)})
}

// Stale returns the uploads of one bucket that earlier runs left and this run has
// not asked for: nobody will resume them.
func (s *StateFile) Stale(service, bucket string) []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []Upload
	for to := range s.stale {
		if to.Service == service && to.Bucket == bucket {
			left = append(left, s.open[to])
		}
	}
	return left
}

// Close closes the file. It stays for the next run while it holds uploads.
func (s *StateFile) Close() error { return s.f.Close() }
