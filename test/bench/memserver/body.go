package memserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// readBody returns a request's payload without aws-chunked framing.
func readBody(r *http.Request) ([]byte, error) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		size, _ := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		return decodeChunked(r.Body, size)
	}
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	b := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, b)
	return b, err
}

var errFraming = errors.New("malformed aws-chunked payload")

// decodeChunked undoes aws-chunked framing: hex size, optional ";"-extensions,
// CRLF, the bytes, CRLF, …, a chunk of size 0, trailers. size is the declared
// length, a hint. Signatures and trailers are not checked.
func decodeChunked(r io.Reader, size int64) ([]byte, error) {
	const mostTrusted = 1 << 30 // preallocated on the client's word
	br := bufio.NewReaderSize(r, 64<<10)
	var out bytes.Buffer
	out.Grow(int(min(max(size, 0), mostTrusted)) + bytes.MinRead)
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errFraming, err)
		}
		digits, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ";")
		n, err := strconv.ParseUint(digits, 16, 62)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errFraming, err)
		}
		if n == 0 {
			_, err := io.Copy(io.Discard, br) // trailers
			return out.Bytes(), err
		}
		if _, err := io.CopyN(&out, br, int64(n)); err != nil {
			return nil, fmt.Errorf("%w: %w", errFraming, err)
		}
		if end, err := br.ReadString('\n'); err != nil || end != "\r\n" {
			return nil, errFraming
		}
	}
}
