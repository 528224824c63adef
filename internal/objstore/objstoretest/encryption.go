package objstoretest

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// testEncryption: what is to be encrypted is refused and not stored, or the store says of
// it, when it is asked for the object at the latest, how it keeps it.
func testEncryption(t *testing.T, b subject, dir string) {
	data := bytesOf("sealed", 1000)
	for _, how := range []string{"put", "copy", "parts"} {
		key := dir + how
		w, err := writeSealed(t, b, key, how, data)
		if how != "put" && b.Capabilities().MaxCopy == 0 && errors.Is(err, objstore.ErrUnsupported) {
			continue
		}
		if err != nil {
			wantErr(t, err, objstore.ErrEncryption, how)
			absent(t, b, key)
			continue
		}
		holds(t, b, key, data)
		info := stat(t, b, key)
		if w.Encryption != "" && w.Encryption != info.Encryption {
			t.Errorf("%s: the write says %q, the object %q", how, w.Encryption, info.Encryption)
		}
		if managed := strings.HasPrefix(info.Encryption, "aws:"); managed != info.OpaqueETag {
			t.Errorf("%s: encryption %q, opaque ETag %v", how, info.Encryption, info.OpaqueETag)
		}
	}
}

func writeSealed(t *testing.T, b subject, key, how string, data []byte) (objstore.Written, error) {
	t.Helper()
	opt := objstore.PutOptions{Encrypt: objstore.EncryptKMS}
	ctx := t.Context()
	switch how {
	case "put":
		return b.Put(ctx, key, strings.NewReader(string(data)), int64(len(data)), opt)
	case "copy":
		put(t, b, key+" from", data, objstore.PutOptions{})
		return b.Copy(ctx, key, source(b, key+" from"), opt)
	}
	id, err := b.CreateMultipart(ctx, key, opt)
	if err != nil {
		return objstore.Written{}, err
	}
	p, err := b.PutPart(ctx, key, id, 1, strings.NewReader(string(data)), int64(len(data)), objstore.PartOptions{})
	if err != nil {
		return objstore.Written{}, err
	}
	return b.CompleteMultipart(ctx, key, id, []objstore.Part{p}, objstore.CompleteOptions{})
}

// testRestore: nothing is archived here. A store may say so, or have nothing against it.
func testRestore(t *testing.T, b subject, dir string) {
	ctx := t.Context()
	wantErr(t, b.Restore(ctx, "", 3), objstore.ErrKey, "Restore of no key")
	if err := b.Restore(ctx, dir+"missing", 3); !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("Restore of a missing key = %v", err)
	}
	data := bytesOf("warm", 100)
	put(t, b, dir+"warm", data, objstore.PutOptions{})
	err := b.Restore(ctx, dir+"warm", 3)
	if err != nil && !errors.Is(err, objstore.ErrUnsupported) && !errors.Is(err, objstore.ErrArchived) && !errors.Is(err, objstore.ErrInvalid) {
		t.Errorf("Restore of an object that is not archived = %v", err)
	}
	holds(t, b, dir+"warm", data)
}
