package transfer

import (
	"context"
	"fmt"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// verify compares what the source said, what passed through and what the
// destination says it holds. Whatever is free is checked: the checksum in
// passing against either store's own, and MD5 ETags of objects in one piece.
func (c *Copier) verify(ctx context.Context, key string, src *objstore.Info, sum uint64, w *objstore.Written) error {
	if src.CRC64.Set && src.CRC64.Sum != sum {
		return atSource(fmt.Errorf("%w: CRC64NVME %016x, its store says %016x", objstore.ErrChecksum, sum, src.CRC64.Sum))
	}
	if w.CRC64.Set && w.CRC64.Sum != sum {
		return atDestination(fmt.Errorf("%w: CRC64NVME %016x there, %016x sent", ErrMismatch, w.CRC64.Sum, sum))
	}
	return c.verifyETag(ctx, key, src, w)
}

// verifyETag compares MD5 ETags of objects in one piece. Multipart ETags depend
// on part sizes, so unequal ones prove nothing. Nor do those of what a managed key
// encrypts, which neither listings nor all answers to writes tell: both objects are
// asked for it before a mismatch counts. The caller holds no open body, whose place
// at the store the question may need.
func (c *Copier) verifyETag(ctx context.Context, key string, src *objstore.Info, w *objstore.Written) error {
	if !c.bothMD5() || src.OpaqueETag || w.OpaqueETag || !plainMD5(src.ETag) || !plainMD5(w.ETag) || src.ETag == w.ETag {
		return nil
	}
	for _, b := range [...]objstore.Bucket{c.cfg.Src, c.cfg.Dst} {
		if info, err := b.Stat(ctx, key); err == nil && info.OpaqueETag {
			return nil
		}
	}
	return atDestination(fmt.Errorf("%w: ETag %s, at the source %s", ErrMismatch, w.ETag, src.ETag))
}

func plainMD5(etag string) bool {
	if len(etag) != 32 {
		return false
	}
	for i := range len(etag) {
		if c := etag[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}
