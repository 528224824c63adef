//go:build !linux

package file

import (
	"context"
	"errors"
	"io"
)

// direntBuffer is not needed here.
const direntBuffer = 0

// readNames gives add every name in d, in no order, with its kind. The name is
// valid during the call.
func (d dir) readNames(ctx context.Context, _ []byte, add func(name []byte, k kind) error) error {
	f, err := d.self()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := f.ReadDir(1024)
		for _, e := range entries {
			if err := add([]byte(e.Name()), kindOfMode(e.Type())); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
