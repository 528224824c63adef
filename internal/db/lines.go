package db

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/lockstep-sync/lockstep/internal/queue"
)

// lines collects the list lines of one transaction: a row of the outbox for each list.
type lines map[listNum]*text

type listNum struct {
	task, job int64
	kind      queue.ListKind
}

type text struct {
	lines int64
	data  []byte
}

// add appends one line, which f writes.
func (ls lines) add(k listNum, f func(dst []byte) []byte) {
	t := ls[k]
	if t == nil {
		t = &text{}
		ls[k] = t
	}
	t.lines++
	t.data = f(t.data)
}

// flush stores the lines.
func (ls lines) flush(ctx context.Context, t *txn, now int64) error {
	args := make([][]any, 0, len(ls))
	for _, k := range slices.SortedFunc(maps.Keys(ls), func(a, b listNum) int {
		return cmp.Or(cmp.Compare(a.job, b.job), cmp.Compare(a.kind, b.kind))
	}) {
		args = append(args, []any{k.task, k.job, k.kind, ls[k].lines, now, pack(ls[k].data)})
	}
	return t.many(ctx, "INSERT INTO outbox (task, job, kind, lines, at, data) VALUES ($1, $2, $3, $4, $5, $6)", args)
}

// A stored text begins with a byte that says how the rest is packed. Below minPacked
// bytes compressing costs more than it saves.
const (
	packedNot  = 0
	packedZstd = 1
	minPacked  = 512
	maxText    = 256 << 20 // far above what one transaction writes
)

var (
	encoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxText), zstd.WithDecoderLowmem(true))
)

func pack(data []byte) []byte {
	if len(data) < minPacked {
		return append([]byte{packedNot}, data...)
	}
	return encoder.EncodeAll(data, []byte{packedZstd})
}

func unpack(stored []byte) ([]byte, error) {
	switch {
	case len(stored) > 0 && stored[0] == packedNot:
		return stored[1:], nil
	case len(stored) > 0 && stored[0] == packedZstd:
		return decoder.DecodeAll(stored[1:], nil)
	}
	return nil, fmt.Errorf("outbox: a row of %d bytes is damaged", len(stored))
}

func countLines(data []byte) int64 { return int64(bytes.Count(data, []byte{'\n'})) }
