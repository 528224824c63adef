package s3_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

func TestArchivedObjectsAreAskedBack(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{Archives: true}, "aws")
	ctx := t.Context()
	const key = "cold +%2F ö"
	if _, err := store(ctx, b, key, "frozen", objstore.PutOptions{Class: "GLACIER"}); err != nil {
		t.Fatal(err)
	}
	refused := func(err error, what string) {
		t.Helper()
		if !errors.Is(err, objstore.ErrArchived) {
			t.Errorf("%s: %v, want ErrArchived", what, err)
		}
	}
	inside := func() error {
		_, err := b.Copy(ctx, "copy", objstore.CopySource{Bucket: "bucket", Key: key}, objstore.PutOptions{})
		return err
	}
	for range 2 { // the second time it is on its way: 409
		_, err := load(ctx, b, key, objstore.OpenOptions{})
		refused(err, "open")
		refused(inside(), "copy")
		if err := b.Restore(ctx, key, 3); err != nil {
			t.Fatalf("restore: %v", err)
		}
	}
	srv.Thaw("bucket", key)
	if err := b.Restore(ctx, key, 3); err != nil {
		t.Errorf("restore of what is there: %v", err)
	}
	if got, err := load(ctx, b, key, objstore.OpenOptions{}); err != nil || got != "frozen" {
		t.Errorf("restored: %q, %v", got, err)
	}
	if err := inside(); err != nil {
		t.Errorf("copy of what was restored: %v", err)
	}
	asked := srv.Requests("restore")
	if len(asked) != 3 || asked[0].Status != 202 || asked[1].Status != 409 || asked[2].Status != 200 || asked[0].Query != "restore=" {
		t.Errorf("asked %+v", asked)
	}
}

func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{Archives: true}, "aws")
	ctx := t.Context()
	srv.Put("bucket", "warm", []byte("x"))
	for _, c := range []struct {
		key   string
		fault s3fault.Fault
		want  error
	}{
		{"", s3fault.Fault{}, objstore.ErrKey},
		{"missing", s3fault.Fault{}, objstore.ErrNotFound},
		{"warm", s3fault.Fault{}, objstore.ErrArchived}, // of no class that can be restored
		{"warm", s3fault.Fault{Op: "restore", Status: 403, Code: "AccessDenied"}, objstore.ErrDenied},
		{"warm", s3fault.Fault{Op: "restore", Status: 501, Code: "NotImplemented"}, objstore.ErrUnsupported},
		{"warm", s3fault.Fault{Op: "restore", Status: 503, Code: "GlacierExpeditedRetrievalNotAvailable"}, objstore.ErrUnavailable},
	} {
		if c.fault.Op != "" {
			srv.Inject(c.fault)
		}
		if err := b.Restore(ctx, c.key, 3); !errors.Is(err, c.want) {
			t.Errorf("restore of %q: %v, want %v", c.key, err, c.want)
		}
	}
}

func TestRestoreNamesTheTierOfTheOptions(t *testing.T) {
	t.Parallel()
	srv := s3fault.New(t, s3fault.Options{Archives: true})
	cfg := config(srv, "bucket")
	cfg.Override = []string{"restore-tier=Expedited"}
	b := open(t, cfg)
	srv.Put("bucket", "cold", []byte("x"))
	srv.Archive("bucket", "cold")
	if err := b.Restore(t.Context(), "cold", 3); err != nil {
		t.Fatal(err)
	}
	body := string(srv.Requests("restore")[0].Body)
	for _, want := range []string{"<Days>3</Days>", "<GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters>"} {
		if !strings.Contains(body, want) {
			t.Errorf("body %s, want %s", body, want)
		}
	}
}
