package file

import (
	"errors"
	"io/fs"
	"sync"
)

// flusher flushes directories, once for all writers that wait for the same one.
type flusher struct {
	mu     sync.Mutex
	rounds map[string]*round
}

// round is one flush of a directory: running, or waiting for the one before it.
type round struct {
	done chan struct{}
	err  error
	next *round
}

// sync returns when a flush of path has ended that began after the call.
func (f *flusher) sync(path string, flush func() error) error {
	f.mu.Lock()
	if f.rounds == nil {
		f.rounds = make(map[string]*round)
	}
	running := f.rounds[path]
	if running == nil {
		r := &round{done: make(chan struct{})}
		f.rounds[path] = r
		f.mu.Unlock()
		f.run(path, r, flush)
		return r.err
	}
	// The running flush may have missed our change; the next one cannot.
	next, lead := running.next, false
	if next == nil {
		next, lead = &round{done: make(chan struct{})}, true
		running.next = next
	}
	f.mu.Unlock()
	if lead {
		<-running.done
		f.run(path, next, flush)
	} else {
		<-next.done
	}
	return next.err
}

func (f *flusher) run(path string, r *round, flush func() error) {
	r.err = flush()
	f.mu.Lock()
	if r.next != nil {
		f.rounds[path] = r.next
	} else {
		delete(f.rounds, path)
	}
	f.mu.Unlock()
	close(r.done)
}

// flush makes names in the directories at these paths survive a power cut. Directories
// on the way that somebody else made are left to whoever made them.
func (b *Bucket) flush(path string, others []string) error {
	if b.opt.NoSync {
		return nil
	}
	for _, p := range others {
		if p == path {
			continue
		}
		if err := b.flushOne(p); err != nil {
			return err
		}
	}
	return b.flushOne(path)
}

func (b *Bucket) flushOne(path string) error {
	return b.flushes.sync(path, func() error {
		at, err := b.root.walk(path)
		if err == nil {
			defer at.close()
			err = at.sync()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a delete has removed it since; nothing is left to flush
		}
		return err
	})
}
