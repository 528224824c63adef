package file

import (
	"encoding/binary"
	"slices"
)

// maxFile bounds the bytes of a file, beyond what file systems hold.
const maxFile = 1 << 60

// layout is the sizes of the parts of an object, equal neighbours together.
type layout []struct{ count, size int64 }

func (l layout) add(size int64) layout {
	if n := len(l); n > 0 && l[n-1].size == size {
		l[n-1].count++
		return l
	}
	return append(l, struct{ count, size int64 }{1, size})
}

func (l layout) parts() int {
	var n int64
	for _, run := range l {
		n += run.count
	}
	return int(n)
}

// part returns where part number (from 1) is.
func (l layout) part(number int) (offset, size int64, ok bool) {
	left := int64(number) - 1
	if left < 0 {
		return 0, 0, false
	}
	for _, run := range l {
		if left < run.count {
			return offset + left*run.size, run.size, true
		}
		left -= run.count
		offset += run.count * run.size
	}
	return 0, 0, false
}

func (l layout) encode() []byte {
	var p []byte
	for _, run := range l {
		p = binary.AppendUvarint(p, uint64(run.count))
		p = binary.AppendUvarint(p, uint64(run.size))
	}
	return p
}

// parseLayout refuses layouts of more parts than an upload may have, and sums
// that no file reaches.
func parseLayout(p []byte) (layout, bool) {
	var l layout
	var parts, total int64
	for len(p) > 0 {
		count, n := binary.Uvarint(p)
		if n <= 0 {
			return nil, false
		}
		size, m := binary.Uvarint(p[n:])
		if m <= 0 || count == 0 || count > maxParts || size > maxFile/count {
			return nil, false
		}
		p = p[n+m:]
		parts += int64(count)
		total += int64(count * size)
		if parts > maxParts || total > maxFile {
			return nil, false
		}
		l = append(l, struct{ count, size int64 }{int64(count), int64(size)})
	}
	return slices.Clip(l), true
}
