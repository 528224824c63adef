package control

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// keyPurpose is what the secret of an access key is sealed for.
func keyPurpose(id task.KeyID) string { return "access-key:" + string(id) }

// NewKey is an access key to be made.
type NewKey struct {
	Name      string
	Role      task.Role
	ExpiresAt time.Time // zero: never
}

// CreateKey makes an access key in the caller's project. The secret is returned this
// once and never again.
func (c *Control) CreateKey(ctx context.Context, who Caller, n NewKey) (task.AccessKey, secret.String, error) {
	if err := who.may(mayAdminister); err != nil {
		return task.AccessKey{}, secret.String{}, err
	}
	switch {
	case !validRole(n.Role):
		return task.AccessKey{}, secret.String{}, invalid("BAD_ROLE", "there is no such role", "use viewer, event-only, operator or admin")
	case len(n.Name) > maxName || !utf8.ValidString(n.Name):
		return task.AccessKey{}, secret.String{}, invalid("BAD_NAME", "the name of the access key is too long or no UTF-8", "use at most 255 bytes")
	case !n.ExpiresAt.IsZero() && !n.ExpiresAt.After(c.cfg.Now()):
		return task.AccessKey{}, secret.String{}, invalid("BAD_EXPIRY", "the access key would have expired already", "name a later time, or none")
	}
	k := task.AccessKey{ID: newKeyID(), Project: who.Project, Role: n.Role, Name: n.Name, ExpiresAt: n.ExpiresAt}
	return c.storeKey(ctx, k, newSecret(), who.Actor)
}

func (c *Control) storeKey(ctx context.Context, k task.AccessKey, s secret.String, by task.Actor) (task.AccessKey, secret.String, error) {
	k.Sealed = c.cfg.Box.Seal(keyPurpose(k.ID), []byte(s.Reveal()))
	k, err := c.store.CreateKey(ctx, k, by)
	if err != nil {
		return task.AccessKey{}, secret.String{}, err
	}
	c.keys.forget()
	return k, s, nil
}

// Keys returns the access keys of the caller's project, oldest first. Their secrets
// stay sealed.
func (c *Control) Keys(ctx context.Context, who Caller) ([]task.AccessKey, error) {
	if err := who.may(mayAdminister); err != nil {
		return nil, err
	}
	if who.Project == "" {
		return nil, errNoProject
	}
	return c.store.Keys(ctx, who.Project)
}

// An empty project means all of them to the store.
var errNoProject = &task.Error{Text: "a caller without a project"}

// DeleteKey takes an access key away. Requests that use it are refused here at once, and
// on other nodes within Config.KeysFresh. Conflict: the caller uses it itself.
func (c *Control) DeleteKey(ctx context.Context, who Caller, id task.KeyID) error {
	if err := who.may(mayAdminister); err != nil {
		return err
	}
	k, err := c.store.Key(ctx, id)
	if task.KindOf(err) == task.NotFound || err == nil && k.Project != who.Project {
		return notFound("KEY_NOT_FOUND", "there is no such access key", "list them with: lockstep key list")
	}
	if err != nil {
		return err
	}
	if id == who.Actor.Key {
		return &task.Error{
			Kind: task.Conflict, Code: "KEY_IN_USE", Text: "an access key cannot delete itself",
			Next: "delete it with another admin's key",
		}
	}
	if err := c.store.DeleteKey(ctx, id, who.Actor); err != nil {
		return err
	}
	c.keys.forget()
	return nil
}

// EnsureKey sees to the first access key, an admin's: that which is given, whose secret
// it sets again when it has changed; or, with none given, a new one unless the
// project has an admin's key, which the sealing key must open: SEAL_KEY_UNKNOWN. made is
// false when all was there; the secret is then empty unless it was given.
func (c *Control) EnsureKey(ctx context.Context, project task.ProjectID, id task.KeyID, given secret.String) (k task.AccessKey, s secret.String, made bool, err error) {
	if id == "" || given.Empty() {
		all, err := c.store.Keys(ctx, project)
		if i := slices.IndexFunc(all, func(k task.AccessKey) bool { return k.Role == task.Admin && k.ExpiresAt.IsZero() }); err != nil || i >= 0 {
			if err != nil {
				return k, s, false, err
			}
			_, err = c.openKey(all[i])
			return all[i], s, false, otherSeal(err)
		}
		id, given = newKeyID(), newSecret()
	}
	if k, err = c.store.Key(ctx, id); err == nil {
		old, err := c.openKey(k)
		if err = otherSeal(err); errors.Is(err, errOtherSeal) {
			return k, s, false, err
		}
		if err == nil && old.secret.Equal(given) && k.Project == project && k.Role == task.Admin {
			return k, given, false, nil
		}
		if err := c.store.DeleteKey(ctx, id, task.Actor{}); err != nil {
			return task.AccessKey{}, s, false, err
		}
	} else if task.KindOf(err) != task.NotFound {
		return task.AccessKey{}, s, false, err
	}
	k, s, err = c.storeKey(ctx, task.AccessKey{ID: id, Project: project, Role: task.Admin, Name: "first"}, given, task.Actor{})
	return k, s, err == nil, err
}

var errOtherSeal = errors.New("sealed with another key")

// otherSeal says of a service's start that it has not the sealing key of its database:
// nobody could get in, and no store could be opened.
func otherSeal(err error) error {
	told, ok := errors.AsType[*task.Error](err)
	if !ok || told.Code != "SEAL_KEY_UNKNOWN" {
		return err
	}
	return &task.Error{
		Kind: task.Denied, Code: told.Code, Text: "the database was sealed with another key: " + told.Text,
		Next: "put the right seal.key back (or --seal-key-file, " + secret.KeyVariable + "); if it is lost, start with LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY set to a new key, then rotate the credentials of all endpoints",
		Err:  errOtherSeal,
	}
}

// newKeyID is 20 capital letters and digits, as the clients of all dialects take them.
func newKeyID() task.KeyID {
	var b [11]byte
	rand.Read(b[:])
	return task.KeyID("LS" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// newSecret is 40 characters of 240 random bits.
func newSecret() secret.String {
	var b [30]byte
	rand.Read(b[:])
	return secret.New(base64.RawURLEncoding.EncodeToString(b[:]))
}
