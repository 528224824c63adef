package s3fault

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// unframe takes the frames off a body that has some ("Transferring payload in
// multiple chunks", S3 API reference), and moves its trailer to the headers.
func (a *ask) unframe() ([]byte, error) {
	if a.Header.Get("X-Amz-Content-Sha256") != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
		return a.body, nil
	}
	bad := errors.New("bad frame")
	var data []byte
	for rest := a.body; ; {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		n, err := strconv.ParseInt(string(line), 16, 32)
		if !ok || err != nil || int(n) > len(after) {
			return nil, bad
		}
		if n == 0 {
			name, value, ok := strings.Cut(strings.TrimSuffix(string(after), "\r\n\r\n"), ":")
			if !ok || !strings.HasSuffix(string(after), "\r\n\r\n") || name != a.Header.Get("X-Amz-Trailer") ||
				strconv.Itoa(len(data)) != a.Header.Get("X-Amz-Decoded-Content-Length") {
				return nil, bad
			}
			a.Header.Set(name, value)
			return data, nil
		}
		data = append(data, after[:n]...)
		if rest, ok = bytes.CutPrefix(after[n:], []byte("\r\n")); !ok {
			return nil, bad
		}
	}
}
