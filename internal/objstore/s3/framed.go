package s3

import (
	"io"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Some stores take the end of a broken connection for the end of the body, and
// put what has arrived in the place of the old object. There a body whose
// checksum cannot be sent ahead goes out in frames with the checksum behind it
// ("Transferring payload in multiple chunks", S3 API reference): cut short, it is
// no body. Everywhere else bodies go out as they are, which costs less.

const (
	framedPayload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	trailerName   = "x-amz-checksum-crc64nvme"
	frameSize     = 64 * kib
)

// guard protects the body of a request against being stored in part.
func (b *Bucket) guard(r *request, t *traits, crc objstore.Checksum) {
	switch {
	case !t.storesTorn, crc.Set && t.ChecksumPut, b.signPayload, r.size == 0:
	case r.parcel != nil:
		r.set(trailerName, encodeCRC64(objstore.UpdateCRC64(0, r.parcel.data)))
	case r.data != nil:
		r.set(trailerName, encodeCRC64(objstore.UpdateCRC64(0, r.data)))
	case r.stream != nil:
		r.set("x-amz-decoded-content-length", strconv.FormatInt(r.size, 10))
		r.set("x-amz-trailer", trailerName)
		r.payload = framedPayload
		r.framed = &framed{src: r.stream, size: r.size}
		r.framed.reset()
		r.size = r.framed.length()
	}
}

// framed reads a body in frames.
type framed struct {
	src   io.Reader
	size  int64
	left  int64 // of src
	frame int64 // of the frame that is open
	sum   uint64
	text  []byte // to be read before anything else
	room  [64]byte
	ended bool
}

// reset begins again; src is at its beginning.
func (f *framed) reset() {
	f.left, f.frame, f.sum, f.ended = f.size, 0, 0, false
	f.text = f.room[:0]
	f.open()
}

// length is the number of bytes in all.
func (f *framed) length() int64 {
	frame := func(n int64) int64 { return int64(len(strconv.FormatInt(n, 16))) + 2 + n + 2 }
	n := f.size / frameSize * frame(frameSize)
	if rest := f.size % frameSize; rest > 0 {
		n += frame(rest)
	}
	return n + int64(len("0\r\n"+trailerName+":\r\n\r\n")) + int64(len(encodeCRC64(0)))
}

// open begins the next frame, or the end.
func (f *framed) open() {
	f.frame = min(f.left, frameSize)
	f.text = append(strconv.AppendInt(f.text, f.frame, 16), "\r\n"...)
	if f.frame == 0 {
		f.text = append(append(append(f.text, trailerName+":"...), encodeCRC64(f.sum)...), "\r\n\r\n"...)
		f.ended = true
	}
}

func (f *framed) Read(p []byte) (n int, err error) {
	for n < len(p) {
		switch {
		case len(f.text) > 0:
			moved := copy(p[n:], f.text)
			n, f.text = n+moved, f.text[moved:]
		case f.ended:
			return n, io.EOF
		default:
			got, err := f.src.Read(p[n:min(int64(len(p)), int64(n)+f.frame)])
			f.sum = objstore.UpdateCRC64(f.sum, p[n:n+got])
			n, f.frame, f.left = n+got, f.frame-int64(got), f.left-int64(got)
			if f.frame == 0 {
				f.text = append(f.room[:0], "\r\n"...)
				f.open()
				continue
			}
			if err != nil {
				return n, err
			}
			if got == 0 || n >= frameSize {
				return n, nil // do not wait for more
			}
		}
	}
	return n, nil
}
