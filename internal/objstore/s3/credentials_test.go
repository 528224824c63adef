package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// nowhere takes every place away where the chain may find keys on this machine.
func nowhere(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func ring(t *testing.T, clock func() time.Time) *keyring {
	t.Helper()
	r, err := newKeyring(&Config{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeysFromEnvironment(t *testing.T) {
	nowhere(t)
	r := ring(t, time.Now)
	if _, err := r.get(t.Context()); !errors.Is(err, objstore.ErrCredentials) {
		t.Errorf("no keys anywhere = %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_SESSION_TOKEN", "token")
	if _, err := r.get(t.Context()); !errors.Is(err, objstore.ErrCredentials) {
		t.Errorf("the chain is asked again at once: %v", err)
	}
	r = ring(t, time.Now)
	k, err := r.get(t.Context())
	if err != nil || k.access != "id" || k.secret != "secret" || k.token != "token" || !k.renew.IsZero() {
		t.Errorf("keys = %+v, %v", k, err)
	}
	if again, _ := r.get(t.Context()); again != k {
		t.Error("the keys are fetched for each request")
	}
}

// Keys of a machine role are renewed before they end, and used on when the role
// cannot be asked.
func TestKeysAreRenewed(t *testing.T) {
	nowhere(t)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	begin := time.Now()
	now := begin
	var asked atomic.Int64
	var down atomic.Bool
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		n := asked.Add(1)
		_, _ = fmt.Fprintf(w, `{"AccessKeyId":"id%d","SecretAccessKey":"secret","Token":"token","Expiration":%q}`, n, now.Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(role.Close)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL)
	r := ring(t, func() time.Time { return now })
	for _, step := range []struct {
		at   time.Duration
		down bool
		want string
	}{
		{0, false, "id1"},
		{30 * time.Minute, false, "id1"},
		{49 * time.Minute, false, "id2"},
		{60 * time.Minute, false, "id2"},
		{98 * time.Minute, true, "id2"},
		{99 * time.Minute, false, "id3"},
	} {
		now = begin.Add(step.at)
		down.Store(step.down)
		k, err := r.get(t.Context())
		if err != nil || k.access != step.want {
			t.Errorf("after %v: %+v, %v, want %s", step.at, k, err, step.want)
		}
	}
	// An answer may say that they ended earlier.
	k, _ := r.get(t.Context())
	fresh, err := r.renew(t.Context(), k)
	if err != nil || fresh.access != "id4" {
		t.Errorf("renewed: %+v, %v", fresh, err)
	}
	if late, err := r.renew(t.Context(), k); err != nil || late != fresh {
		t.Errorf("a second renewal of the same keys asks again: %+v, %v", late, err)
	}
}

func TestGivenKeys(t *testing.T) {
	t.Parallel()
	r, err := newKeyring(&Config{AccessKey: "a", SecretKey: "s", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.get(t.Context())
	if err != nil || k.access != "a" {
		t.Errorf("%+v, %v", k, err)
	}
	if again, err := r.renew(t.Context(), k); err != nil || again != k {
		t.Errorf("given keys were renewed: %v", err)
	}
	r, err = newKeyring(&Config{Anonymous: true, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if k, err := r.get(t.Context()); err != nil || k.access != "" {
		t.Errorf("anonymous: %+v, %v", k, err)
	}
}
