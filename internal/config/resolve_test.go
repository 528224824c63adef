package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		if i := slices.Index(pairs, name); i >= 0 && i%2 == 0 {
			return pairs[i+1]
		}
		return ""
	}
}

func TestResolveStoreTakesKeysOfItsSide(t *testing.T) {
	t.Parallel()
	keys := env("LOCKSTEP_SRC_ACCESS_KEY", "sa", "LOCKSTEP_SRC_SECRET_KEY", "ss", "LOCKSTEP_SRC_SESSION_TOKEN", "st",
		"LOCKSTEP_DST_ACCESS_KEY", "da", "LOCKSTEP_DST_SECRET_KEY", "ds", "AWS_ACCESS_KEY_ID", "not", "AWS_REGION", "eu-west-1")
	src, err := ResolveStore(Source, "s3://photos", StoreFlags{Endpoint: "HTTP://Host.Example:9000/", Provider: "minio", Options: []string{"tags=no"}}, keys)
	if err != nil {
		t.Fatal(err)
	}
	dst, err := ResolveStore(Destination, "s3://photos/p", StoreFlags{VirtualHost: true, SignPayload: true}, keys)
	if err != nil {
		t.Fatal(err)
	}
	if src.AccessKey != "sa" || src.SecretKey != "ss" || src.SessionToken != "st" || src.Region != "" ||
		src.Endpoint != "http://host.example:9000" || src.Provider != "minio" || !slices.Equal(src.Override, []string{"tags=no"}) {
		t.Errorf("source is %#v", fields(src))
	}
	if dst.AccessKey != "da" || dst.SecretKey != "ds" || dst.SessionToken != "" || dst.Region != "eu-west-1" || !dst.VirtualHost || !dst.SignPayload {
		t.Errorf("destination is %#v", fields(dst))
	}
	anonymous, err := ResolveStore(Source, "s3://photos", StoreFlags{Anonymous: true}, keys)
	if err != nil || !anonymous.Anonymous || anonymous.AccessKey != "" {
		t.Errorf("an anonymous source has the key %q, error %v", anonymous.AccessKey, err)
	}
}

func TestResolveStoreRefuses(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	const bucket, dir = "s3://photos", "/data"
	for _, c := range []struct {
		code, arg string
		flags     StoreFlags
		env       func(string) string
	}{
		{"UNKNOWN_SCHEME", "gs://photos", StoreFlags{}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "host.example"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "host:9000"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "ftp://host"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "https://"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "https://:9000"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "https://host:port"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "https://host/photos"}, env()},
		{"INVALID_ENDPOINT", bucket, StoreFlags{Endpoint: "https://host?x"}, env()},
		{"KEYS_IN_ADDRESS", bucket, StoreFlags{Endpoint: "https://HUSH:HUSH@host"}, env()},
		{"KEYS_IN_ADDRESS", bucket, StoreFlags{Endpoint: "HUSH:HUSH@host"}, env()},
		{"INCOMPLETE_KEYS", bucket, StoreFlags{}, env("LOCKSTEP_DST_ACCESS_KEY", "HUSH")},
		{"INCOMPLETE_KEYS", bucket, StoreFlags{}, env("LOCKSTEP_DST_SECRET_KEY", "HUSH")},
		{"INCOMPLETE_KEYS", bucket, StoreFlags{}, env("LOCKSTEP_DST_SESSION_TOKEN", "HUSH")},
		{"INVALID_OPTION", bucket, StoreFlags{Options: []string{"tags"}}, env()},
		{"INVALID_OPTION", dir, StoreFlags{Options: []string{"=no"}}, env()},
		{"INVALID_CA_FILE", bucket, StoreFlags{CAFile: notPEM}, env()},
		{"INVALID_CA_FILE", bucket, StoreFlags{CAFile: notPEM + ".none"}, env()},
		{"FLAG_NEEDS_BUCKET", dir, StoreFlags{Endpoint: "https://host"}, env()},
		{"FLAG_NEEDS_BUCKET", dir, StoreFlags{Region: "x"}, env()},
		{"FLAG_NEEDS_BUCKET", dir, StoreFlags{Provider: "aws"}, env()},
		{"FLAG_NEEDS_BUCKET", dir, StoreFlags{VirtualHost: true}, env()},
		{"FLAG_NEEDS_BUCKET", dir, StoreFlags{Anonymous: true}, env()},
	} {
		_, err := ResolveStore(Destination, c.arg, c.flags, c.env)
		wantCode(t, fmt.Sprintf("%s %+v", c.arg, c.flags), err, c.code)
		if err != nil && !strings.HasPrefix(err.Error(), "destination: ") {
			t.Errorf("error does not say the side: %v", err)
		}
	}
}

func TestStorePrintsNoSecrets(t *testing.T) {
	t.Parallel()
	s := Store{Scheme: "s3", Bucket: "photos", Prefix: "a/", Endpoint: "https://host", AccessKey: "HUSH1", SecretKey: "HUSH2", SessionToken: "HUSH3"}
	type holder struct {
		Store Store
		Ptr   *Store
		Many  []Store
	}
	h := holder{s, &s, []Store{s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, value := range []any{s, &s, h, &h, map[string]Store{"k": s}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "store", s, "ptr", &s, "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "store", s, "ptr", &s, "holder", h)
	out.WriteString(s.GoString())
	if strings.Contains(out.String(), "HUSH") || strings.Contains(out.String(), "48555348") {
		t.Errorf("a secret is printed:\n%s", out.String())
	}
	if want := "s3://photos/a/ at https://host"; !strings.Contains(out.String(), want) {
		t.Errorf("%q is not printed", want)
	}
}
