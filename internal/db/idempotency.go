package db

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// BeginOnce claims an idempotency key for a request, which is told by its hash. It
// returns the stored answer when the request was answered before, and nil when the
// caller is to do it. Conflict: the key stands for another request, or the request is
// being worked on; one that was begun more than giveUp ago is begun anew.
func (s *Store) BeginOnce(ctx context.Context, project task.ProjectID, key string, request []byte, giveUp time.Duration) (answer []byte, err error) {
	err = s.write(ctx, func(ctx context.Context, t *txn) error {
		answer = nil
		now := s.now()
		n, err := t.exec(ctx, "INSERT INTO idempotency (project, key, request, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (project, key) DO NOTHING",
			string(project), key, request, now.UnixMicro())
		if err != nil || n == 1 {
			return err
		}
		var stored, was []byte
		var begun int64
		err = one(ctx, t, "SELECT request, answer, created_at FROM idempotency WHERE project = $1 AND key = $2"+s.eng.lock("FOR UPDATE"),
			[]any{string(project), key}, &stored, &was, &begun)
		switch {
		case errors.Is(err, errNoRow):
			return errAgain // it was forgotten just now
		case err != nil:
			return err
		case !bytes.Equal(stored, request):
			return &task.Error{Kind: task.Conflict, Code: "IDEMPOTENCY_KEY_REUSED", Text: "the idempotency key was used for another request", Next: "make a new key for each request"}
		case was != nil:
			answer = append([]byte{}, was...)
			return nil
		case now.Sub(fromMicros(begun)) < giveUp:
			return &task.Error{Kind: task.Conflict, Code: "IDEMPOTENCY_KEY_BUSY", Text: "the same request is being worked on", Next: "try again in a few seconds"}
		}
		_, err = t.exec(ctx, "UPDATE idempotency SET created_at = $1 WHERE project = $2 AND key = $3", now.UnixMicro(), string(project), key)
		return err
	})
	return answer, err
}

// FinishOnce stores the answer of a request; nil gives the key back.
func (s *Store) FinishOnce(ctx context.Context, project task.ProjectID, key string, answer []byte) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		if answer == nil {
			_, err := t.exec(ctx, "DELETE FROM idempotency WHERE project = $1 AND key = $2 AND answer IS NULL", string(project), key)
			return err
		}
		_, err := t.exec(ctx, "UPDATE idempotency SET answer = $1 WHERE project = $2 AND key = $3", answer, string(project), key)
		return err
	})
}

// ForgetOnce drops idempotency keys older than age.
func (s *Store) ForgetOnce(ctx context.Context, age time.Duration) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		_, err := t.exec(ctx, "DELETE FROM idempotency WHERE created_at < $1", s.now().Add(-age).UnixMicro())
		return err
	})
}
