package transfer

import (
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

const (
	// partSize is the size of parts when the source's own is unknown.
	partSize = 16 << 20
	// wholeChecked is the size up to which an object goes in one piece when the
	// destination can verify the checksum of an object in parts.
	wholeChecked = 32 << 20
	// wholeUnchecked is that size when it cannot: in one piece, a copy of an object
	// in one piece has the same ETag, which verifies it now and in every later scan.
	wholeUnchecked = 256 << 20
)

// cut is how an object will be divided.
type cut struct {
	size  int64 // bytes of each part but the last; 0: one piece
	parts int
	// ask: read the source's part layout first; size is what to use if it is not told.
	ask bool
}

func (c cut) whole() bool { return c.parts <= 1 }

func cutBy(total, size int64) cut {
	return cut{size: size, parts: int((total + size - 1) / size)}
}

// layout chooses how to divide an object: as the source was divided where that
// shows and the destination allows it, because then ETags can match; else in one
// piece up to a bound; else in even parts.
func (c *Copier) layout(src objstore.Object) cut {
	dst := c.cfg.Dst.Capabilities()
	if dst.MaxParts == 0 {
		return cut{}
	}
	if n := partCount(src.ETag); n > 1 && c.bothMD5() {
		own := cutBy(src.Size, guessPart(src.Size, n, dst))
		own.ask = c.cfg.Src.Capabilities().PartLayout
		if own.parts == n || own.ask {
			return own
		}
	}
	bound := int64(wholeUnchecked)
	if dst.ChecksumComplete {
		bound = wholeChecked
	}
	if dst.MaxPut > 0 {
		bound = min(bound, dst.MaxPut)
	}
	if src.Size <= bound {
		return cut{}
	}
	return cutBy(src.Size, evenPart(src.Size, dst))
}

// evenPart is the part size for an object that is divided by our own choice.
func evenPart(size int64, dst objstore.Capabilities) int64 {
	part := max(int64(partSize), dst.MinPart)
	if least := (size + int64(dst.MaxParts) - 1) / int64(dst.MaxParts); part < least {
		part = roundUp(least, 1<<20)
	}
	return part
}

// partCount reads N from an ETag "<32 hex>-N"; 0 when it is not one.
func partCount(etag string) int {
	head, tail, ok := strings.Cut(etag, "-")
	if !ok || !plainMD5(head) {
		return 0
	}
	n, err := strconv.Atoi(tail)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// guessPart finds the part size that common tools would have used for an object
// of size bytes in n parts; when none fits, even parts of whole MiB.
func guessPart(size int64, n int, dst objstore.Capabilities) int64 {
	for _, mib := range [...]int64{8, 16, 5, 64, 32, 10, 15, 50, 100, 128, 25, 20, 256, 512} {
		if c := cutBy(size, mib<<20); c.parts == n && allowed(c, dst) {
			return mib << 20
		}
	}
	return evenPart(size, dst)
}

// allowed reports whether the destination takes an upload cut like c.
func allowed(c cut, dst objstore.Capabilities) bool {
	return c.parts <= dst.MaxParts && c.size >= dst.MinPart && (dst.MaxPart == 0 || c.size <= dst.MaxPart)
}
