package app

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if told, ok := errors.AsType[*task.Error](err); !ok || told.Code != code || told.Next == "" {
		t.Errorf("%s: %v, want %s and a next step", what, err, code)
	}
}

// TestStartRefuses: what an operator got wrong is said before the service says where it is.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	start := func(change func(*config.Serve)) error {
		cfg := ServeConfig{Serve: config.Serve{Data: data, Listen: "127.0.0.1:0", Keep: config.DefaultKeep}}
		change(&cfg.Serve)
		s, err := NewService(t.Context(), cfg)
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := start(func(*config.Serve) {}); err != nil {
		t.Fatal(err)
	}
	err := start(func(c *config.Serve) {
		c.TLSCert, c.TLSKey = filepath.Join(data, "no.pem"), filepath.Join(data, "no.key")
	})
	wantCode(t, "a certificate that is not there", err, "TLS_UNUSABLE")
	if err := os.Remove(filepath.Join(data, "seal.key")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "another sealing key", start(func(*config.Serve) {}), "SEAL_KEY_UNKNOWN")
}

// TestFirstKeyIsMadeByTheStartThatShowsIt: its secret is shown once, so a start that fails
// must not use that up.
func TestFirstKeyIsMadeByTheStartThatShowsIt(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	other, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	cfg := ServeConfig{Serve: config.Serve{Data: t.TempDir(), Listen: other.Addr().String(), Keep: config.DefaultKeep}}
	_, err = NewService(t.Context(), cfg)
	wantCode(t, "a port that is taken", err, "CANNOT_LISTEN")
	noTLS := cfg
	noTLS.TLSCert, noTLS.TLSKey = filepath.Join(cfg.Data, "no.pem"), filepath.Join(cfg.Data, "no.key")
	_, err = NewService(t.Context(), noTLS)
	wantCode(t, "a certificate that is not there", err, "TLS_UNUSABLE")

	cfg.Listen = "127.0.0.1:0"
	s, err := NewService(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if k := s.FirstKey(); !k.Made || k.Secret.Empty() {
		t.Errorf("the start that answers shows no first key: made %t", k.Made)
	}
}

// TestEndpointIsCheckedWhenMade: an option that nobody knows is refused when it is given,
// not when a bucket is opened.
func TestEndpointIsCheckedWhenMade(t *testing.T) {
	t.Parallel()
	s, err := NewService(t.Context(), ServeConfig{Serve: config.Serve{Data: t.TempDir(), Listen: "127.0.0.1:0", Keep: config.DefaultKeep}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for code, change := range map[string]func(*control.NewEndpoint){
		"BAD_OPTIONS":  func(n *control.NewEndpoint) { n.Options = []byte(`{"concurency":1}`) },
		"BAD_ALIAS":    func(n *control.NewEndpoint) { n.Aliases = []string{"AWS"} },
		"BAD_PROVIDER": func(n *control.NewEndpoint) { n.Provider = "azure" },
		"BAD_URL":      func(n *control.NewEndpoint) { n.URL = "ftp://127.0.0.1" },
	} {
		n := control.NewEndpoint{ID: "e", Provider: "minio", URL: "http://127.0.0.1:1"}
		change(&n)
		_, err := s.Control().CreateEndpoint(t.Context(), s.Admin(), n)
		wantCode(t, code, err, code)
	}
}
