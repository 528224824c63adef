package file

import (
	"bufio"
	"bytes"
	"io"
	"os"
)

// runs are the names of a huge directory: sorted runs in one temporary file
// that has no name, merged as they are read. Only so many are merged at a time;
// more are first made into longer ones, so memory does not grow with the
// directory.
type runs struct {
	file   *os.File
	limits sortLimits
	end    int64
	list   []run
	heap   []*runReader // nil until the first next
}

// run is a sorted sequence of entries in the file: kind (1 byte), size (2), name.
type run struct {
	begin, end int64
	level      int // how often its names were merged
}

func newRuns(tmpDir string, limits sortLimits) (*runs, error) {
	f, err := os.CreateTemp(tmpDir, "lockstep-list-*")
	if err != nil {
		return nil, err
	}
	// An open file cannot be removed on Windows; close does it there.
	_ = os.Remove(f.Name())
	return &runs{file: f, limits: limits}, nil
}

func (r *runs) close() {
	_ = r.file.Close()
	_ = os.Remove(r.file.Name())
}

// spill writes the names, sorted, as a run and empties them.
func (r *runs) spill(n *names) error {
	n.sort()
	w := r.writer()
	for _, ref := range n.refs {
		writeEntry(w, n.name(ref), ref.kind)
	}
	n.reset()
	if err := r.finish(w, 0); err != nil {
		return err
	}
	return r.compact()
}

// compact merges runs of one level once there are too many of it.
func (r *runs) compact() error {
	for {
		level := r.list[len(r.list)-1].level
		first := len(r.list)
		for first > 0 && r.list[first-1].level == level {
			first--
		}
		if len(r.list)-first < r.limits.fanIn {
			return nil
		}
		if err := r.merge(first, level+1); err != nil {
			return err
		}
	}
}

// merge makes the runs from first on into one.
func (r *runs) merge(first, level int) error {
	heap, err := r.open(r.list[first:])
	if err != nil {
		return err
	}
	w := r.writer()
	for len(heap) > 0 {
		writeEntry(w, heap[0].name, heap[0].kind)
		if heap, err = advance(heap); err != nil {
			return err
		}
	}
	r.list = r.list[:first]
	return r.finish(w, level)
}

func (r *runs) writer() *bufio.Writer {
	return bufio.NewWriterSize(io.NewOffsetWriter(r.file, r.end), 64<<10)
}

// finish ends the run that was written to w.
func (r *runs) finish(w *bufio.Writer, level int) error {
	if err := w.Flush(); err != nil {
		return err
	}
	end, err := r.file.Seek(0, io.SeekEnd)
	r.list = append(r.list, run{begin: r.end, end: end, level: level})
	r.end = end
	return err
}

// writeEntry leaves errors to the Flush.
func writeEntry(w *bufio.Writer, name []byte, k kind) {
	_ = w.WriteByte(byte(k))
	_ = w.WriteByte(byte(len(name)))
	_ = w.WriteByte(byte(len(name) >> 8))
	_, _ = w.Write(name)
}

// next merges all runs. The name stays valid until the following call.
func (r *runs) next() (name []byte, k kind, ok bool, err error) {
	if r.heap == nil {
		for err == nil && len(r.list) > r.limits.fanIn {
			err = r.merge(len(r.list)-r.limits.fanIn, 0)
		}
		if err == nil {
			r.heap, err = r.open(r.list)
		}
	} else {
		r.heap, err = advance(r.heap)
	}
	if err != nil || len(r.heap) == 0 {
		return nil, 0, false, err
	}
	return r.heap[0].name, r.heap[0].kind, true, nil
}

// open makes a heap of readers, each at its first name.
func (r *runs) open(list []run) ([]*runReader, error) {
	heap := make([]*runReader, 0, len(list))
	for _, run := range list {
		section := io.NewSectionReader(r.file, run.begin, run.end-run.begin)
		reader := &runReader{r: bufio.NewReaderSize(section, r.limits.buffer)}
		more, err := reader.read()
		if err != nil {
			return nil, err
		}
		if more {
			heap = append(heap, reader)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
	return heap, nil
}

// advance moves on from the least name.
func advance(heap []*runReader) ([]*runReader, error) {
	more, err := heap[0].read()
	if err != nil {
		return nil, err
	}
	if !more {
		heap[0] = heap[len(heap)-1]
		heap = heap[:len(heap)-1]
	}
	sink(heap, 0)
	return heap, nil
}

// sink restores the order of the heap below i.
func sink(heap []*runReader, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if bytes.Compare(heap[child].name, heap[least].name) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// runReader reads one run.
type runReader struct {
	r    *bufio.Reader
	head [3]byte
	name []byte
	kind kind
}

// read goes to the next name; false at the end.
func (r *runReader) read() (bool, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		if err == io.EOF {
			return false, nil
		}
		return false, err
	}
	size := int(r.head[1]) | int(r.head[2])<<8
	r.kind = kind(r.head[0])
	r.name = append(r.name[:0], make([]byte, size)...)
	_, err := io.ReadFull(r.r, r.name)
	return err == nil, err
}
