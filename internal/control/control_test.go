package control_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// world is a Control over a real database whose clock is moved by hand.
type world struct {
	*testing.T
	*control.Control
	db     *counted
	box    *secret.Box
	clock  *clock
	admin  control.Caller
	bucket objstore.Bucket // what every location opens
	broken error           // or why none does
}

type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Skip(d time.Duration) { c.ahead.Add(int64(d)) }

// counted is a database that counts how often keys are read, and fails when told to.
type counted struct {
	*db.Store
	reads atomic.Int64
	fail  atomic.Bool

	afterHook func() // once the task of a hook was read; nil: nothing
}

func (s *counted) TaskOfHook(ctx context.Context, hash []byte) (task.Task, error) {
	k, err := s.Store.TaskOfHook(ctx, hash)
	if s.afterHook != nil {
		s.afterHook()
	}
	return k, err
}

func (s *counted) Keys(ctx context.Context, p task.ProjectID) ([]task.AccessKey, error) {
	s.reads.Add(1)
	if s.fail.Load() {
		return nil, errors.New("the disk is gone")
	}
	return s.Store.Keys(ctx, p)
}

func (w *world) Bucket(context.Context, task.ProjectID, task.Location) (objstore.Bucket, error) {
	return w.bucket, w.broken
}

func newWorld(t *testing.T, with control.Config) *world {
	t.Helper()
	w := &world{T: t, clock: &clock{}, bucket: mem.New("b")}
	store, err := db.Open(t.Context(), db.Config{Path: filepath.Join(t.TempDir(), "lockstep.db"), Now: w.clock.Now})
	w.must(err)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.db = &counted{Store: store}
	w.box, err = secret.NewBox(secret.NewKey())
	w.must(err)
	in := queue.NewCommitter(store, queue.CommitterConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	for !in.Accepting() {
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	with.Store, with.Accept, with.Box, with.Stores, with.Now = w.db, in, w.box, w, w.clock.Now
	w.Control = control.New(with)
	w.admin = control.Caller{Project: "p", Role: task.Admin, Actor: task.Actor{Key: "tester", Dialect: task.Native}}
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantCode(what string, err error, code string) {
	w.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Code != code || e.Next == "" {
		w.Errorf("%s: %v is not %s with advice", what, err, code)
	}
}

func (w *world) newKey(role task.Role, expires time.Time) (string, string) {
	w.Helper()
	k, s, err := w.CreateKey(w.Context(), w.admin, control.NewKey{Role: role, ExpiresAt: expires})
	w.must(err)
	return string(k.ID), s.Reveal()
}

func TestAuthenticateReadsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: -1})
	id, s := w.newKey(task.Viewer, time.Time{})
	who, err := w.Authenticate(t.Context(), id, s)
	w.must(err)
	if who.Project != "p" || who.Role != task.Viewer || string(who.Actor.Key) != id {
		t.Fatalf("caller %+v", who)
	}
	before := w.db.reads.Load()
	for range 1000 {
		if _, err := w.Authenticate(t.Context(), id, s); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		_, err = w.Authenticate(t.Context(), "LSSTRANGER", "x")
		w.wantCode("a stranger", err, control.CodeBadCredentials)
	}
	if n := w.db.reads.Load() - before; n > 10 { // one a second for strangers, however slow this machine is
		t.Errorf("2,000 requests read the keys %d times", n)
	}
	_, err = w.Authenticate(t.Context(), id, s+"x")
	w.wantCode("a wrong secret", err, control.CodeBadCredentials)
	_, err = w.Authenticate(t.Context(), id, "")
	w.wantCode("no secret", err, control.CodeBadCredentials)
	_, err = w.Authenticate(t.Context(), "", "")
	w.wantCode("nothing", err, control.CodeBadCredentials)
	verify := func(k secret.String) bool { return k.Matches(s) }
	if who, err := w.AuthenticateSigned(t.Context(), task.KeyID(id), verify); err != nil || who.Project != "p" {
		t.Errorf("signed by %+v: %v", who, err)
	}
}

func TestKeysOfOtherNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: -1})
	id, s := w.newKey(task.Viewer, time.Time{})
	_, err := w.Authenticate(t.Context(), id, s)
	w.must(err)
	other := control.New(control.Config{Store: w.db, Box: w.box, Now: w.clock.Now})
	k, made, err := other.CreateKey(t.Context(), w.admin, control.NewKey{Role: task.Viewer})
	w.must(err)
	w.clock.Skip(1100 * time.Millisecond)
	_, err = w.Authenticate(t.Context(), string(k.ID), made.Reveal())
	w.must(err)
	w.must(other.DeleteKey(t.Context(), w.admin, k.ID))
	w.clock.Skip(11 * time.Second)
	_, err = w.Authenticate(t.Context(), string(k.ID), made.Reveal())
	w.wantCode("deleted on another node", err, control.CodeBadCredentials)

	// Without a database what is known holds for a while, and then nobody gets in.
	w.db.fail.Store(true)
	w.clock.Skip(time.Minute)
	_, err = w.Authenticate(t.Context(), id, s)
	w.must(err)
	w.clock.Skip(5 * time.Minute)
	_, err = w.Authenticate(t.Context(), id, s)
	w.wantCode("no database", err, "KEYS_UNAVAILABLE")
	if task.KindOf(err) != task.Unavailable || strings.Contains(err.Error(), "disk") {
		t.Errorf("%v", err)
	}
	w.db.fail.Store(false)
	_, err = w.Authenticate(t.Context(), id, s)
	w.must(err)
}

func TestExpiryAndRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{KeyRate: 5})
	id, s := w.newKey(task.Viewer, w.clock.Now().Add(time.Hour))
	allowed := 0
	var err error
	for range 100 {
		if _, err = w.Authenticate(t.Context(), id, s); err != nil {
			break
		}
		allowed++
	}
	w.wantCode("too many requests", err, control.CodeRateLimited)
	if allowed < 10 || allowed > 50 || task.KindOf(err) != task.Unavailable {
		t.Errorf("%d requests in a burst of 10, then %v", allowed, err)
	}
	w.clock.Skip(2 * time.Second)
	_, err = w.Authenticate(t.Context(), id, s)
	w.must(err)
	w.clock.Skip(time.Hour)
	_, err = w.Authenticate(t.Context(), id, s)
	w.wantCode("expired", err, control.CodeBadCredentials)
}

func TestEnsureKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	ensure := func(id task.KeyID, given string, wantMade bool) (task.AccessKey, string) {
		t.Helper()
		k, s, made, err := w.EnsureKey(t.Context(), "p", id, secret.New(given))
		w.must(err)
		if made != wantMade {
			t.Fatalf("made is %v", made)
		}
		return k, s.Reveal()
	}
	k, s := ensure("", "", true)
	again, none := ensure("", "", false)
	if again.ID != k.ID || none != "" || len(k.ID) != 20 || len(s) != 40 {
		t.Fatalf("%s %q, then %s %q", k.ID, s, again.ID, none)
	}
	ensure("GIVEN", "one", true)
	ensure("GIVEN", "one", false)
	ensure("GIVEN", "two", true)
	who, err := w.Authenticate(t.Context(), "GIVEN", "two")
	w.must(err)
	if who.Role != task.Admin || who.Project != "p" {
		t.Fatalf("%+v", who)
	}
	_, err = w.Authenticate(t.Context(), "GIVEN", "one")
	w.wantCode("the old secret", err, control.CodeBadCredentials)
}

// TestOtherSealingKey: a service that has not the sealing key of its database says so at
// its start; who sets the first key himself gets in.
func TestOtherSealingKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	_, _, _, err := w.EnsureKey(t.Context(), "p", "", secret.String{})
	w.must(err)
	_, _, _, err = w.EnsureKey(t.Context(), "p", "OLD", secret.New("one"))
	w.must(err)
	box, err := secret.NewBox(secret.NewKey())
	w.must(err)
	other := control.New(control.Config{Store: w.db, Box: box, Now: w.clock.Now})
	_, _, _, err = other.EnsureKey(t.Context(), "p", "", secret.String{})
	w.wantCode("start with another sealing key", err, "SEAL_KEY_UNKNOWN")
	_, _, _, err = other.EnsureKey(t.Context(), "p", "OLD", secret.New("one"))
	w.wantCode("and with a key that is there", err, "SEAL_KEY_UNKNOWN")
	_, _, made, err := other.EnsureKey(t.Context(), "p", "GIVEN", secret.New("one"))
	w.must(err)
	if !made {
		t.Error("the key that was given was not made")
	}
}

func TestCredentialsAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	e, err := w.CreateEndpoint(t.Context(), w.admin, control.NewEndpoint{
		ID: "e", Provider: "aws",
		Credentials: control.Credentials{AccessKey: "AK", SecretKey: secret.New("s3cr3t"), SessionToken: secret.New("t0k3n")},
	})
	w.must(err)
	if strings.Contains(string(e.Sealed), "s3cr3t") {
		t.Fatal("the secret is stored in clear")
	}
	k, err := control.OpenCredentials(w.box, e)
	w.must(err)
	if k.AccessKey != "AK" || !k.SecretKey.Matches("s3cr3t") || !k.SessionToken.Matches("t0k3n") {
		t.Fatalf("opened %+v", k)
	}
	moved := e
	moved.ID = "f"
	_, err = control.OpenCredentials(w.box, moved)
	w.wantCode("moved to another endpoint", err, "SEAL_PURPOSE")
	e, err = w.RotateEndpoint(t.Context(), w.admin, "e", control.Credentials{AccessKey: "AK2", SecretKey: secret.New("new")})
	w.must(err)
	if k, err := control.OpenCredentials(w.box, e); err != nil || !k.SecretKey.Matches("new") || e.Version != 2 {
		t.Fatalf("rotated %+v, %v", k, err)
	}
}

func TestEndpointsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	for _, c := range []struct {
		n    control.NewEndpoint
		code string
	}{
		{control.NewEndpoint{ID: "", Provider: "aws"}, "BAD_ENDPOINT_NAME"},
		{control.NewEndpoint{ID: "a:b", Provider: "aws"}, "BAD_ENDPOINT_NAME"},
		{control.NewEndpoint{ID: "-a", Provider: "aws"}, "BAD_ENDPOINT_NAME"},
		{control.NewEndpoint{ID: "a", Provider: "ftp"}, "BAD_PROVIDER"},
		{control.NewEndpoint{ID: "a", Provider: "minio"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "minio", URL: "https://u:s3cr3t@h"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "minio", URL: "https://h?key=s3cr3t"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "minio", URL: "ftp://h"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "file", URL: "file:///a/../b"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "file", URL: "file://host/b"}, "BAD_URL"},
		{control.NewEndpoint{ID: "a", Provider: "aws", Options: []byte(`[]`)}, "BAD_OPTIONS"},
		{control.NewEndpoint{ID: "a", Provider: "aws", Credentials: control.Credentials{AccessKey: "a"}}, "BAD_CREDENTIALS_PAIR"},
	} {
		_, err := w.CreateEndpoint(t.Context(), w.admin, c.n)
		w.wantCode(string(c.n.ID)+" "+c.n.URL, err, c.code)
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("the error repeats a secret: %v", err)
		}
	}
	_, err := w.CreateEndpoint(t.Context(), w.admin, control.NewEndpoint{ID: "a", Provider: "file", URL: "file:///srv/data"})
	w.must(err)
}

// denying is a bucket that denies some verbs.
type denying struct {
	objstore.Bucket
	tags, put bool
}

func denied(op string) error { return &objstore.Error{Kind: objstore.ErrDenied, Op: op, Status: 403} }

func (d denying) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if d.tags {
		return denied("set tags")
	}
	return d.Bucket.SetTags(ctx, key, tags)
}

func (d denying) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if d.put {
		return denied("delete")
	}
	return d.Bucket.Delete(ctx, key, opt)
}

func TestCheckNamesThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	_, err := w.CreateEndpoint(t.Context(), w.admin, control.NewEndpoint{ID: "e", Provider: "mem"})
	w.must(err)
	w.bucket = denying{Bucket: w.bucket, tags: true, put: true}
	c, err := w.CheckEndpoint(t.Context(), w.admin, "e", control.CheckRequest{Bucket: "b", Prefix: "x/", Write: true})
	w.must(err)
	const want = `{"Statement":[{"Effect":"Allow","Action":["s3:DeleteObject","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::b/x/*"}],"Version":"2012-10-17"}`
	if c.OK() || string(c.Policy) != want {
		t.Errorf("policy %s of %+v", c.Policy, c.Probes)
	}
	_, err = w.CreateEndpoint(t.Context(), w.admin, control.NewEndpoint{ID: "disk", Provider: "file", URL: "file:///disk"})
	w.must(err)
	c, err = w.CheckEndpoint(t.Context(), w.admin, "disk", control.CheckRequest{Bucket: "b", Write: true})
	w.must(err)
	if c.OK() || c.Policy != nil {
		t.Errorf("policy %s of a directory", c.Policy)
	}
	w.broken = &task.Error{Kind: task.Unavailable, Code: "DOWN", Text: "down", Next: "wait"}
	_, err = w.CheckEndpoint(t.Context(), w.admin, "e", control.CheckRequest{Bucket: "b"})
	w.wantCode("no bucket opens", err, "DOWN")
	_, err = w.CreateTask(t.Context(), w.admin, control.NewTask{
		Name:   "t",
		Source: task.Location{Endpoint: "e", Bucket: "a"}, Destination: task.Location{Endpoint: "e", Bucket: "b"},
	})
	w.must(err)
	e, err := w.Explain(t.Context(), w.admin, "t", "k")
	w.must(err)
	if e.Verdict != "unknown" || e.Source.Code != "DOWN" {
		t.Errorf("explained %+v", e)
	}
}

// TestDescriptionsThatNoDatabaseHolds: what one engine cannot store is refused on both.
func TestDescriptionsThatNoDatabaseHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	for _, text := range []string{"a\x00b", "a\xffb", strings.Repeat("d", 4097)} {
		_, err := w.CreateTask(t.Context(), w.admin, control.NewTask{
			Name: "t", Description: text,
			Source: task.Location{Endpoint: "e", Bucket: "a"}, Destination: task.Location{Endpoint: "e", Bucket: "b"},
		})
		w.wantCode("a description", err, "BAD_DESCRIPTION")
	}
}
