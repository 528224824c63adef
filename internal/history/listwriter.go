package history

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// List says what a finished list holds, as the manifest records it.
type List struct {
	Name   string `json:"name"` // path below the manifest's directory, "/" between its parts
	Lines  int64  `json:"lines"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // lower-case hex
}

// ListWriter writes the lines of one list, counts and hashes them. It is used by
// one goroutine at a time.
type ListWriter struct {
	buf         *bufio.Writer
	sum         hash.Hash
	lines, size int64
}

// NewListWriter returns a writer of a list to w, which the caller closes after Finish.
func NewListWriter(w io.Writer) *ListWriter {
	sum := sha256.New()
	return &ListWriter{buf: bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10), sum: sum}
}

// Write appends one whole line, its LF included.
func (w *ListWriter) Write(line []byte) (int, error) {
	n, err := w.buf.Write(line)
	w.lines++
	w.size += int64(n)
	return n, err
}

// Finish flushes and says what was written; name is the list's.
func (w *ListWriter) Finish(name string) (List, error) {
	err := w.buf.Flush()
	return List{Name: name, Lines: w.lines, Size: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil))}, err
}
