package app

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
)

// spool keeps staged keys on disk until the guard has judged them, so that a
// destination with any number of surplus objects costs no memory. Its file has no
// name: nothing is left behind however the process ends.
type spool struct {
	mu    sync.Mutex
	f     *os.File
	w     *bufio.Writer
	count int64
}

// add stages one key.
func (s *spool) add(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		f, err := os.CreateTemp("", "lockstep-staged-*")
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return errors.Join(err, f.Close())
		}
		s.f, s.w = f, bufio.NewWriterSize(f, 64<<10)
	}
	s.count++
	var n [binary.MaxVarintLen64]byte
	if _, err := s.w.Write(binary.AppendUvarint(n[:0], uint64(len(key)))); err != nil {
		return err
	}
	_, err := s.w.WriteString(key)
	return err
}

// chunks calls f with up to n staged keys at a time, in the order they were staged.
func (s *spool) chunks(n int, f func(keys []string) error) error {
	if s.f == nil {
		return nil
	}
	if err := s.w.Flush(); err != nil {
		return err
	}
	if _, err := s.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.f, 64<<10)
	var keys []string
	for left := s.count; left > 0; left-- {
		size, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		key := make([]byte, size)
		if _, err := io.ReadFull(r, key); err != nil {
			return err
		}
		if keys = append(keys, string(key)); len(keys) < n && left > 1 {
			continue
		}
		if err := f(keys); err != nil {
			return err
		}
		keys = keys[:0]
	}
	return nil
}

func (s *spool) close() error {
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}
