package control

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// onceGivesUp is when a request that was begun under an idempotency key counts as lost
// with the process that worked on it.
const onceGivesUp = time.Minute

// MaxOnceKey is the longest idempotency key, in bytes.
const MaxOnceKey = 255

// Once does a request under an idempotency key unless it was done before: then it
// returns the stored answer and replayed is true. request is all that makes two requests
// the same. An answer with keep false is not stored: the request may be made again.
//
// Stored answers are sealed, since some hold secrets, and given to the access key alone
// that asked first.
func (c *Control) Once(ctx context.Context, who Caller, key string, request []byte,
	do func() (answer []byte, keep bool),
) (answer []byte, replayed bool, err error) {
	if len(key) > MaxOnceKey {
		return nil, false, invalid("BAD_IDEMPOTENCY_KEY", "the idempotency key is longer than 255 bytes", "use a UUID")
	}
	hash := sha256.New()
	for _, part := range [][]byte{[]byte(who.Actor.Key), {0}, request} {
		hash.Write(part)
	}
	stored, err := c.store.BeginOnce(ctx, who.Project, key, hash.Sum(nil), onceGivesUp)
	if err != nil {
		return nil, false, err
	}
	purpose := "answer:" + string(who.Project) + "/" + key
	if stored != nil {
		answer, err = c.cfg.Box.Open(purpose, stored)
		return answer, true, err
	}
	// Done or not, the key must not stay claimed: a panic gives it back too.
	var seal []byte
	defer func() {
		if e := c.store.FinishOnce(context.WithoutCancel(ctx), who.Project, key, seal); err == nil && e != nil && seal != nil {
			answer, err = nil, &task.Error{
				Kind: task.Unavailable, Code: "ANSWER_NOT_KEPT", Text: "the request was done, but its answer could not be kept",
				Next: "see what it did before it is repeated", Err: e,
			}
		}
	}()
	answer, keep := do()
	if keep {
		seal = c.cfg.Box.Seal(purpose, answer)
	}
	return answer, false, nil
}
