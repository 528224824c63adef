package control

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// A token lets a client in as an access key does, for a time: for dialects whose clients
// send one header. Nothing is stored of it. It is
//
//	lst1.BASE64URL(expiry, 8 bytes of Unix seconds, big-endian; id of the key; mark)
//
// where mark is the box's mark of expiry, id and the key's secret. So it is worth
// nothing once the key is deleted, given another secret, or expired.
const (
	tokenForm    = "lst1."
	tokenPurpose = "access-token"
	tokenTTL     = 24 * time.Hour
	maxTokenTTL  = 366 * 24 * time.Hour
	maxToken     = 512 // bytes of one that is worth reading
)

// CodeTokenExpired: Denied, the token was good once.
const CodeTokenExpired = "TOKEN_EXPIRED"

// IssueToken makes a token of an access key of the caller's project, good for ttl (0: 24
// hours) but no longer than the key. It has the key's role. An admin makes them of
// every key, others of their own.
func (c *Control) IssueToken(ctx context.Context, who Caller, id task.KeyID, ttl time.Duration) (token string, expires time.Time, err error) {
	if who.Project == "" {
		return "", time.Time{}, errNoProject
	}
	if id != who.Actor.Key {
		if err := who.may(mayAdminister); err != nil {
			return "", time.Time{}, err
		}
	}
	if ttl == 0 {
		ttl = tokenTTL
	}
	if ttl < time.Second || ttl > maxTokenTTL {
		return "", time.Time{}, invalid("BAD_TTL", "a token is good for at least a second and at most 366 days", "name a time like 24h")
	}
	k, err := c.keys.get(ctx, id)
	if err != nil {
		return "", time.Time{}, err
	}
	now := c.cfg.Now()
	if k == nil || k.Project != who.Project || k.expired(now) {
		return "", time.Time{}, notFound("KEY_NOT_FOUND", "there is no such access key, or it has expired", "list them with: lockstep key list")
	}
	expires = now.Add(ttl)
	if !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(expires) {
		expires = k.ExpiresAt
	}
	expires = expires.Truncate(time.Second).UTC()
	if err := c.store.NoteToken(ctx, k.AccessKey, expires, who.Actor); err != nil {
		return "", time.Time{}, err
	}
	body := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	body = append(body, id...)
	body = append(body, c.cfg.Box.Mark(tokenPurpose, k.tokenText(body))...)
	return tokenForm + base64.RawURLEncoding.EncodeToString(body), expires, nil
}

// AuthenticateToken says whose token this is. Errors are those of Authenticate, and
// Denied with CodeTokenExpired.
func (c *Control) AuthenticateToken(ctx context.Context, token string) (Caller, error) {
	signed, given, ok := cutToken(token)
	if !ok {
		return Caller{}, errBadToken
	}
	k, err := c.keys.get(ctx, task.KeyID(signed[8:]))
	if err != nil {
		return Caller{}, err
	}
	if k == nil || !c.cfg.Box.Marked(tokenPurpose, k.tokenText(signed), given) {
		return Caller{}, errBadToken
	}
	if c.cfg.Now().Unix() >= int64(binary.BigEndian.Uint64(signed)) {
		return Caller{}, &task.Error{
			Kind: task.Denied, Code: CodeTokenExpired, Text: "the token has expired",
			Next: "make another with: lockstep key token KEY",
		}
	}
	return c.enter(k)
}

var errBadToken = &task.Error{
	Kind: task.Denied, Code: CodeBadCredentials, Text: "the token is not one of this service, or its access key is gone",
	Next: "make one with: lockstep key token KEY",
}

// cutToken takes a token apart: what is signed, and the mark.
func cutToken(token string) (signed, mark []byte, ok bool) {
	text, ok := strings.CutPrefix(token, tokenForm)
	if !ok || len(token) > maxToken {
		return nil, nil, false
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if n := len(body) - secret.MarkSize; err == nil && n > 8 {
		return body[:n:n], body[n:], true
	}
	return nil, nil, false
}

// tokenText is what a token of this key is marked for: expiry and id have a length of
// their own, the secret ends it.
func (k *ringKey) tokenText(signed []byte) []byte {
	text := binary.BigEndian.AppendUint16(nil, uint16(len(signed)))
	return append(append(text, signed...), k.secret.Reveal()...)
}

// expired says whether a key is good no more.
func (k *ringKey) expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}
