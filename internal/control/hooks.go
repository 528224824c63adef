package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// hookStore keeps the hash of the token of a task's hook.
type hookStore interface {
	PutHook(ctx context.Context, id task.ID, hash []byte, by task.Actor) error
	DeleteHook(ctx context.Context, id task.ID, by task.Actor) error
	HasHook(ctx context.Context, id task.ID) (bool, error)
	TaskOfHook(ctx context.Context, hash []byte) (task.Task, error)
}

// CodeHookUnknown is NotFound: no task has the token.
const CodeHookUnknown = "HOOK_NOT_FOUND"

// PutHook gives a task a token by which its store can tell of changes, and returns it this
// once. Conflict: it has one, and rotate does not say to replace it.
func (c *Control) PutHook(ctx context.Context, who Caller, ref string, rotate bool) (task.Task, secret.String, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Task{}, secret.String{}, err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return task.Task{}, secret.String{}, err
	}
	has, err := c.store.HasHook(ctx, k.ID)
	if err != nil {
		return task.Task{}, secret.String{}, err
	}
	if has && !rotate {
		return task.Task{}, secret.String{}, &task.Error{
			Kind: task.Conflict, Code: "HOOK_EXISTS", Text: "the task has a hook, whose address was shown when it was made",
			Next: "replace it with: lockstep task hook TASK --rotate",
		}
	}
	token := newToken()
	if err := c.store.PutHook(ctx, k.ID, hashToken(token.Reveal()), who.Actor); err != nil {
		return task.Task{}, secret.String{}, err
	}
	c.forgetHooks(k.ID)
	return k, token, nil
}

// DeleteHook takes the token of a task away: here at once, on other nodes within seconds.
func (c *Control) DeleteHook(ctx context.Context, who Caller, ref string) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return err
	}
	if err := c.store.DeleteHook(ctx, k.ID, who.Actor); err != nil {
		if task.KindOf(err) == task.NotFound {
			return notFound(CodeHookUnknown, "the task has no hook", "make one with: lockstep task hook TASK")
		}
		return err
	}
	c.forgetHooks(k.ID)
	return nil
}

// Change is what a store tells of an object, by its whole key.
type Change struct {
	Bucket string
	Keys   []string // those that the store may mean; see AcceptChanges
}

// Heard says what became of the changes a store told of.
type Heard struct {
	Task        task.ID
	Keys        int // records there are now
	OtherBucket int // changes of buckets that are not the task's source
	OtherPrefix int // keys outside its prefix
	Skipped     int // keys of lists that Lockstep itself writes, and keys no store can hold
}

// HookTask returns the task of a token. NotFound: nobody has it.
func (c *Control) HookTask(ctx context.Context, token string) (task.Task, error) {
	if !validToken(token) {
		return task.Task{}, errNoHook
	}
	hash := hashToken(token)
	at := c.cfg.Now()
	if v, ok := c.hooks.Load(string(hash)); ok {
		if s := v.(seenTask); at.Sub(s.at) < taskSeen {
			return s.Task, nil
		}
	}
	before := c.hooksForgotten.Load()
	k, err := c.store.TaskOfHook(ctx, hash)
	if task.KindOf(err) == task.NotFound {
		c.hooks.Delete(string(hash))
		return k, errNoHook
	}
	if err == nil {
		c.hooks.Store(string(hash), seenTask{k, at})
		if c.hooksForgotten.Load() != before {
			c.hooks.Delete(string(hash)) // it may have been taken away since it was read
		}
	}
	return k, err
}

var errNoHook = notFound(CodeHookUnknown, "there is nothing here", "")

// AcceptChanges enqueues what a store told of a task's source, each key as an event. All of
// it, or an error, and then some of it may be accepted: telling it again does no harm. Where
// it is not clear which key a store means, all it may mean are named: the source decides.
func (c *Control) AcceptChanges(ctx context.Context, k task.Task, changes []Change) (Heard, error) {
	heard := Heard{Task: k.ID}
	var batch []Event
	for _, ch := range changes {
		if ch.Bucket != k.Source.Bucket {
			heard.OtherBucket++
			continue
		}
		for _, whole := range ch.Keys {
			key, ok := strings.CutPrefix(whole, k.Source.Prefix)
			switch {
			case !ok || key == "":
				heard.OtherPrefix++
			case task.CheckKey(key) != nil:
				heard.Skipped++
			default:
				batch = append(batch, Event{Key: key})
			}
		}
	}
	for len(batch) > 0 {
		n := min(len(batch), task.MaxBatchKeys)
		r, err := c.accept(ctx, k, "", batch[:n])
		if err != nil {
			return heard, err
		}
		heard.Keys += r.Keys
		heard.Skipped += r.Skipped
		batch = batch[n:]
	}
	return heard, nil
}

// forgetHooks drops the tokens of a task that are remembered.
func (c *Control) forgetHooks(id task.ID) {
	c.hooksForgotten.Add(1)
	c.hooks.Range(func(key, v any) bool {
		if v.(seenTask).ID == id {
			c.hooks.Delete(key)
		}
		return true
	})
}

// A token is 43 characters of 256 random bits. Its SHA-256 alone is kept: nobody can try
// all of so many.
const tokenLength = 43

func newToken() secret.String {
	var b [32]byte
	rand.Read(b[:])
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:]))
}

func validToken(s string) bool {
	if len(s) != tokenLength {
		return false
	}
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}

func hashToken(s string) []byte {
	hash := sha256.Sum256([]byte(s))
	return hash[:]
}
