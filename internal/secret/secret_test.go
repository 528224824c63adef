package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const plain = "correct-horse-battery"

type holder struct {
	Open   secret.String
	hidden secret.String
	Many   []secret.String
	ByName map[string]secret.String
	Ptr    *secret.String
}

func TestStringNeverPrints(t *testing.T) {
	t.Parallel()
	s := secret.New(plain)
	h := holder{s, s, []secret.String{s}, map[string]secret.String{"a": s}, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%t", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", s, &s, h, &h, h.hidden, []any{s, h}, fmt.Errorf("x: %v", s))
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "s", s, "p", &s, "h", h, "hp", &h)
	}
	for _, v := range []any{s, &s, h, &h} {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	text := out.String()
	for _, leak := range []string{plain, hex.EncodeToString([]byte(plain)), base64.StdEncoding.EncodeToString([]byte(plain)), plain[:9]} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(leak)) {
			t.Fatalf("%q is printed in\n%s", leak, text)
		}
	}
	if !strings.Contains(text, secret.Redacted) {
		t.Fatal("nothing says that something is left out")
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	var got struct{ S secret.String }
	if err := json.Unmarshal([]byte(`{"S":"`+plain+`"}`), &got); err != nil || got.S.Reveal() != plain {
		t.Fatalf("%q, %v", got.S.Reveal(), err)
	}
	if !got.S.Equal(secret.New(plain)) || got.S.Equal(secret.New(plain+"x")) || got.S.Matches("") || !got.S.Matches(plain) {
		t.Error("equality is wrong")
	}
	var zero secret.String
	if !zero.Empty() || zero.Reveal() != "" || !zero.Equal(secret.New("")) || fmt.Sprint(zero) != "" {
		t.Error("the zero value is not the empty secret")
	}
}

func newBox(tb testing.TB, keys ...secret.Key) *secret.Box {
	tb.Helper()
	b, err := secret.NewBox(keys[0], keys[1:]...)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func wantCode(tb testing.TB, what string, err error, code string) {
	tb.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Code != code || e.Next == "" {
		tb.Errorf("%s: %v is not %s with advice", what, err, code)
	}
}

func TestBox(t *testing.T) {
	t.Parallel()
	first, second := secret.NewKey(), secret.NewKey()
	b := newBox(t, first)
	sealed := b.Seal("endpoint:p/a", []byte(plain))
	if len(sealed) != len(plain)+secret.Overhead || bytes.Contains(sealed, []byte(plain)) {
		t.Fatalf("sealed is %q", sealed)
	}
	if bytes.Equal(sealed, b.Seal("endpoint:p/a", []byte(plain))) {
		t.Error("sealing twice gives the same bytes")
	}
	got, err := b.Open("endpoint:p/a", sealed)
	if err != nil || string(got) != plain {
		t.Fatalf("opened %q, %v", got, err)
	}
	_, err = b.Open("endpoint:p/b", sealed)
	wantCode(t, "another purpose", err, "SEAL_PURPOSE")
	_, err = newBox(t, second).Open("endpoint:p/a", sealed)
	wantCode(t, "another key", err, "SEAL_KEY_UNKNOWN")
	if !strings.Contains(err.Error(), first.ID().String()) || !strings.Contains(err.Error(), second.ID().String()) {
		t.Errorf("%v does not name both keys", err)
	}
	rotated := newBox(t, second, first)
	if got, err := rotated.Open("endpoint:p/a", sealed); err != nil || string(got) != plain {
		t.Errorf("after a rotation: %q, %v", got, err)
	}
	if rotated.Current() != second.ID() {
		t.Error("a rotated box seals with an older key")
	}
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if _, err := b.Open("endpoint:p/a", damaged); err == nil {
			t.Errorf("byte %d changed and nothing is said", i)
		}
	}
	_, err = b.Open("endpoint:p/a", sealed[:len(sealed)-1])
	wantCode(t, "a byte lost", err, "SEAL_PURPOSE")
	_, err = b.Open("endpoint:p/a", nil)
	wantCode(t, "nothing", err, "SEAL_DAMAGED")
}

func FuzzOpen(f *testing.F) {
	key, err := secret.ParseKey(bytes.Repeat([]byte{7}, secret.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	b := newBox(f, key)
	f.Add("p", []byte("x"), []byte{})
	f.Add("", []byte{}, b.Seal("p", []byte("x")))
	f.Add("p", []byte("x"), b.Seal("q", nil))
	f.Fuzz(func(t *testing.T, purpose string, text, outside []byte) {
		sealed := b.Seal(purpose, text)
		if got, err := b.Open(purpose, sealed); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("opened %q, %v", got, err)
		}
		if _, err := b.Open(purpose+"x", sealed); err == nil {
			t.Fatal("another purpose opens")
		}
		// Bytes from outside never panic; and nobody finds a blob for this purpose.
		if got, err := b.Open("fuzz:"+purpose, outside); err == nil {
			t.Fatalf("%x opens as %q", outside, got)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(strings.Repeat("ab", 32)))
	f.Add([]byte(base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"))
	f.Add(make([]byte, 32))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := secret.ParseKey(text)
		if err != nil {
			if len(text) == secret.KeySize {
				t.Fatal("32 bytes are a key")
			}
			return
		}
		newBox(t, k).Seal("p", text)
		if fmt.Sprintf("%v %+v %#v %x", k, k, k, k) != strings.TrimSpace(strings.Repeat(secret.Redacted+" ", 4)) {
			t.Fatal("a key is printed")
		}
	})
}

func TestParseKeyForms(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdef0123456789abcde\xff")
	want, err := secret.ParseKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{hex.EncodeToString(raw), " " + base64.StdEncoding.EncodeToString(raw) + "\r\n", base64.RawURLEncoding.EncodeToString(raw)} {
		if k, err := secret.ParseKey([]byte(form)); err != nil || k.ID() != want.ID() {
			t.Errorf("%q: %v", form, err)
		}
	}
	_, err = secret.ParseKey([]byte("hunter2"))
	wantCode(t, "a password", err, "SEAL_KEY_INVALID")
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error repeats the key")
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seal.key")
	ids := make([]secret.KeyID, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, err := secret.Load("", path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys differ: %v", ids)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != secret.KeySize {
		t.Fatalf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".seal-key-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	given := hex.EncodeToString(bytes.Repeat([]byte{3}, 32))
	if k, err := secret.Load(given, path); err != nil || k.ID() == ids[0] {
		t.Errorf("the variable does not win: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = secret.Load("", path)
	wantCode(t, "a key that others may read", err, "SEAL_KEY_EXPOSED")
	if _, err := secret.Load("", filepath.Join(path, "none")); err == nil {
		t.Error("a key below a file is made")
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = secret.Load("", path)
	wantCode(t, "an empty file", err, "SEAL_KEY_INVALID")
}

func TestMark(t *testing.T) {
	t.Parallel()
	first, second := secret.NewKey(), secret.NewKey()
	b := newBox(t, first)
	m := b.Mark("p", []byte("text"))
	if len(m) != secret.MarkSize || !b.Marked("p", []byte("text"), m) {
		t.Fatalf("mark %x", m)
	}
	if b.Marked("q", []byte("text"), m) || b.Marked("p", []byte("texts"), m) || b.Marked("p", []byte("text"), nil) || newBox(t, second).Marked("p", []byte("text"), m) {
		t.Error("a mark is good for something else")
	}
	if !newBox(t, second, first).Marked("p", []byte("text"), m) {
		t.Error("a mark is lost in a rotation")
	}
}
