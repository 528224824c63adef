package control_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: -1})
	id, s := w.newKey(task.Operator, time.Time{})
	token, expires, err := w.IssueToken(t.Context(), w.admin, task.KeyID(id), 0)
	w.must(err)
	if d := expires.Sub(w.clock.Now()); d < 23*time.Hour || d > 24*time.Hour {
		t.Errorf("good for %v", d)
	}
	if strings.Contains(token, s) || len(token) > 200 {
		t.Errorf("token %s", token)
	}
	who, err := w.AuthenticateToken(t.Context(), token)
	w.must(err)
	if who.Project != "p" || who.Role != task.Operator || string(who.Actor.Key) != id {
		t.Errorf("caller %+v", who)
	}
	log, err := w.Audit(t.Context(), w.admin, 0, 1)
	w.must(err)
	if len(log) != 1 || log[0].Action != "key.token" || log[0].Subject != id || strings.Contains(string(log[0].Detail), token) {
		t.Errorf("the audit log ends with %+v", log)
	}
	for i := range token {
		other := []byte(token)
		other[i] ^= 1
		if _, err := w.AuthenticateToken(t.Context(), string(other)); err == nil {
			t.Fatalf("byte %d changed and nothing is said", i)
		}
	}
	for _, wrong := range []string{"", "lst1.", token[:len(token)-2], token + "AA", id + ":" + s, "lst1." + strings.Repeat("A", 60)} {
		_, err := w.AuthenticateToken(t.Context(), wrong)
		w.wantCode("a token "+wrong, err, control.CodeBadCredentials)
	}
	w.clock.Skip(25 * time.Hour)
	_, err = w.AuthenticateToken(t.Context(), token)
	w.wantCode("a day later", err, control.CodeTokenExpired)
}

func TestTokenEndsWithItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: -1})
	const id = "LSFIRST0000000000000"
	_, _, _, err := w.EnsureKey(t.Context(), "p", id, secret.New("one"))
	w.must(err)
	token, _, err := w.IssueToken(t.Context(), w.admin, id, time.Hour)
	w.must(err)
	_, err = w.AuthenticateToken(t.Context(), token)
	w.must(err)
	_, _, _, err = w.EnsureKey(t.Context(), "p", id, secret.New("two"))
	w.must(err)
	_, err = w.AuthenticateToken(t.Context(), token)
	w.wantCode("another secret", err, control.CodeBadCredentials)
	token, _, err = w.IssueToken(t.Context(), w.admin, id, time.Hour)
	w.must(err)
	w.must(w.DeleteKey(t.Context(), w.admin, id))
	_, err = w.AuthenticateToken(t.Context(), token)
	w.wantCode("a deleted key", err, control.CodeBadCredentials)

	short, _ := w.newKey(task.Viewer, w.clock.Now().Add(time.Hour))
	_, expires, err := w.IssueToken(t.Context(), w.admin, task.KeyID(short), 0)
	w.must(err)
	if expires.After(w.clock.Now().Add(time.Hour)) {
		t.Errorf("a token until %v outlives its key", expires)
	}
}

func TestWhoMakesTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: -1})
	id, _ := w.newKey(task.Viewer, time.Time{})
	other, _ := w.newKey(task.Viewer, time.Time{})
	viewer := control.Caller{Project: "p", Role: task.Viewer, Actor: task.Actor{Key: task.KeyID(id)}}
	_, _, err := w.IssueToken(t.Context(), viewer, task.KeyID(id), time.Hour)
	w.must(err)
	_, _, err = w.IssueToken(t.Context(), viewer, task.KeyID(other), time.Hour)
	w.wantCode("another's token", err, control.CodeRoleDenied)
	stranger := control.Caller{Project: "q", Role: task.Admin, Actor: task.Actor{Key: "x"}}
	_, _, err = w.IssueToken(t.Context(), stranger, task.KeyID(id), time.Hour)
	w.wantCode("another project's key", err, "KEY_NOT_FOUND")
	_, _, err = w.IssueToken(t.Context(), w.admin, task.KeyID(id), -time.Hour)
	w.wantCode("a time in the past", err, "BAD_TTL")
}

func FuzzToken(f *testing.F) {
	key, err := secret.ParseKey([]byte(strings.Repeat("ab", 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("lst1.AAAAAGkAAAFMU1RFU1Q")
	f.Add("")
	f.Add("lst1." + strings.Repeat("_", 80))
	f.Fuzz(func(t *testing.T, token string) {
		box, err := secret.NewBox(key)
		if err != nil {
			t.Fatal(err)
		}
		c := control.New(control.Config{Box: box, Store: noKeys{}})
		if who, err := c.AuthenticateToken(t.Context(), token); err == nil {
			t.Fatalf("%q lets in %+v", token, who)
		}
	})
}

// noKeys is a database without access keys.
type noKeys struct{ control.Store }

func (noKeys) Keys(context.Context, task.ProjectID) ([]task.AccessKey, error) { return nil, nil }
