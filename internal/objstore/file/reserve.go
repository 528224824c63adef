package file

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Directories below Reserved, beside sidecarDir.
const (
	tempDir   = "tmp"
	uploadDir = "upload"
)

// What a crash left behind is removed by the first write of a later process
// once it has not been touched for so long. Uploads are kept longer, because a
// later run may resume them.
const (
	tempAge   = 24 * time.Hour
	uploadAge = 7 * 24 * time.Hour
)

// reserve hands out temporary files in Reserved/tmp.
type reserve struct {
	mu     sync.Mutex
	opened []dir // the last one is in use; earlier ones were removed under us
	stem   string
	serial atomic.Uint64
}

// temp is a whole file on its way to a key.
type temp struct {
	at   dir
	name string
	file *os.File
	size int64
	back string // the name it returns to when it gets no key; "": it is removed
	kept bool   // it has its key
}

// discard closes the file and clears away what has got no key.
func (t *temp) discard() {
	_ = t.file.Close()
	switch {
	case t.kept:
	case t.back != "":
		_ = t.at.renameNew(t.name, t.at, t.back)
	default:
		_ = t.at.remove(t.name)
	}
}

// newTemp makes an empty temporary file.
func (b *Bucket) newTemp() (*temp, error) {
	for attempt := 0; ; attempt++ {
		at, err := b.temps(attempt > 0)
		if err != nil {
			return nil, err
		}
		name := b.reserve.stem + strconv.FormatUint(b.reserve.serial.Add(1), 16)
		f, err := at.file(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
		if err == nil {
			return &temp{at: at, name: name, file: f}, nil
		}
		// Another process that closed this bucket may have removed the empty directory.
		if !errors.Is(err, fs.ErrNotExist) || attempt == maxRaces {
			return nil, err
		}
	}
}

// temps returns the directory of temporary files, a new one if the last is gone.
func (b *Bucket) temps(gone bool) (dir, error) {
	r := &b.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.opened); n > 0 && !gone {
		return r.opened[n-1], nil
	}
	at, _, err := b.makeDirs(Reserved + "/" + tempDir)
	if err != nil {
		return dir{}, err
	}
	if b.root.ignoresCase(Reserved) {
		b.caseless.Store(true)
	}
	if len(r.opened) == 0 {
		r.stem = strconv.FormatUint(rand.Uint64(), 16) + "-"
		at.sweep(tempAge)
		if uploads, err := b.root.walk(Reserved + "/" + uploadDir); err == nil {
			uploads.sweep(uploadAge)
			uploads.close()
		}
	}
	r.opened = append(r.opened, at)
	return at, nil
}

// sweep removes what has not been touched for age; what cannot be removed stays.
func (d dir) sweep(age time.Duration) {
	limit := time.Now().Add(-age).UnixNano()
	for _, name := range d.names() {
		if s, err := d.lstat(name); err == nil && s.mtime < limit {
			d.removeAll(name)
		}
	}
}

// removeAll removes a file, or a directory of files.
func (d dir) removeAll(name string) {
	if sub, err := d.enter(name); err == nil {
		for _, child := range sub.names() {
			_ = sub.remove(child)
		}
		sub.close()
		_ = d.rmdir(name)
		return
	}
	_ = d.remove(name)
}

// names returns the names in a directory of ours, as far as they can be read.
func (d dir) names() []string {
	f, err := d.self()
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(-1)
	return names
}

// close removes what is empty of the reserved directory, if b has used it.
func (r *reserve) close(b *Bucket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.opened) == 0 {
		return
	}
	for _, at := range r.opened {
		at.close()
	}
	r.opened = nil
	at, err := b.root.walk(Reserved)
	if err != nil {
		return
	}
	defer at.close()
	if meta, err := at.enter(sidecarDir); err == nil {
		for _, name := range meta.names() {
			_ = meta.rmdir(name)
		}
		meta.close()
	}
	for _, name := range []string{tempDir, uploadDir, sidecarDir} {
		_ = at.rmdir(name)
	}
	_ = b.root.rmdir(Reserved)
}
