package s3_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/s3/s3fault"
)

var sealed = objstore.PutOptions{Encrypt: objstore.EncryptKMS}

// writes are the ways to make an object of "text" that may be encrypted.
var writes = map[string]func(context.Context, objstore.Bucket) (objstore.Written, error){
	"put": func(ctx context.Context, b objstore.Bucket) (objstore.Written, error) {
		return store(ctx, b, "put", "text", sealed)
	},
	"copy": func(ctx context.Context, b objstore.Bucket) (objstore.Written, error) {
		return b.Copy(ctx, "copy", objstore.CopySource{Bucket: "bucket", Key: "from"}, sealed)
	},
	"copy, attributes named": func(ctx context.Context, b objstore.Bucket) (objstore.Written, error) {
		opt := sealed
		opt.Header.ContentType = "text/plain"
		return b.Copy(ctx, "copy, attributes named", objstore.CopySource{Bucket: "bucket", Key: "from"}, opt)
	},
	"parts": func(ctx context.Context, b objstore.Bucket) (objstore.Written, error) {
		id, err := b.CreateMultipart(ctx, "parts", sealed)
		if err != nil {
			return objstore.Written{}, err
		}
		p, err := b.PutPart(ctx, "parts", id, 1, bytes.NewReader([]byte("text")), 4, objstore.PartOptions{})
		if err != nil {
			return objstore.Written{}, err
		}
		return b.CompleteMultipart(ctx, "parts", id, []objstore.Part{p}, objstore.CompleteOptions{})
	},
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt           s3fault.Options
		written, told string
	}{
		"obeyed":            {s3fault.Options{Encrypts: true}, objstore.EncryptKMS, objstore.EncryptKMS},
		"obeyed and untold": {s3fault.Options{Encrypts: true, QuietEncryption: true}, "", objstore.EncryptKMS},
		"ignored":           {s3fault.Options{}, "", ""},
	} {
		srv, b := server(t, c.opt, "aws")
		srv.Put("bucket", "from", []byte("text"))
		for key, write := range writes {
			w, err := write(t.Context(), b)
			if err != nil || w.Encryption != c.written || w.OpaqueETag != (c.written != "") {
				t.Errorf("%s, %s: %+v, %v", name, key, w, err)
			}
			info, err := b.Stat(t.Context(), key)
			if err != nil || info.Encryption != c.told || info.OpaqueETag != (c.told != "") {
				t.Errorf("%s, %s: %+v, %v", name, key, info, err)
			}
		}
	}
}

// What is to be encrypted is not stored otherwise, and what the store says of that
// teaches nothing about its other features.
func TestEncryptionRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opt   s3fault.Options
		fault s3fault.Fault
		want  error
	}{
		"not configured":  {s3fault.Options{RefuseEncryption: 501}, s3fault.Fault{}, objstore.ErrEncryption},
		"bad argument":    {s3fault.Options{RefuseEncryption: 400}, s3fault.Fault{}, objstore.ErrEncryption},
		"without a word":  {s3fault.Options{}, s3fault.Fault{Status: 501, NoBody: true, Runs: -1}, objstore.ErrEncryption},
		"key disabled":    {s3fault.Options{}, s3fault.Fault{Status: 400, Code: "KMS.DisabledException"}, objstore.ErrEncryption},
		"key denied":      {s3fault.Options{}, s3fault.Fault{Status: 403, Code: "AccessDenied", Message: "not authorized to perform: kms:GenerateDataKey"}, objstore.ErrDenied},
		"keys throttled":  {s3fault.Options{}, s3fault.Fault{Status: 400, Code: "KMS.ThrottlingException"}, objstore.ErrThrottled},
		"something else":  {s3fault.Options{}, s3fault.Fault{Status: 400, Code: "InvalidArgument", Message: "not processed"}, objstore.ErrInvalid},
		"the store fails": {s3fault.Options{}, s3fault.Fault{Status: 500, Code: "InternalError", Message: "encryption service"}, objstore.ErrUnavailable},
	} {
		srv, b := server(t, c.opt, "aws")
		srv.Put("bucket", "from", []byte("text"))
		before := b.Capabilities()
		for key, write := range writes {
			if c.fault.Status != 0 {
				srv.Inject(c.fault)
			}
			if _, err := write(t.Context(), b); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, key, err, c.want)
			}
			if _, there := srv.Get("bucket", key); there {
				t.Errorf("%s, %s: stored", name, key)
			}
		}
		if d := cmp.Diff(before, b.Capabilities()); d != "" {
			t.Errorf("%s: learned %s", name, d)
		}
	}
}

// A store that lacks something else is asked without that, and encrypted all the same.
func TestEncryptionStaysWhenAFeatureIsDropped(t *testing.T) {
	t.Parallel()
	srv, b := server(t, s3fault.Options{Encrypts: true, RefuseChecksums: 501}, "aws")
	w, err := store(t.Context(), b, "k", "text", objstore.PutOptions{
		Encrypt: objstore.EncryptKMS, CRC64: objstore.Checksum{Sum: objstore.UpdateCRC64(0, []byte("text")), Set: true},
	})
	if err != nil || w.Encryption != objstore.EncryptKMS || srv.Encryption("bucket", "k") != objstore.EncryptKMS {
		t.Errorf("%+v, %v", w, err)
	}
}
