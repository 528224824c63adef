package objstoretest

import (
	"bytes"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// checksumTests check that a CRC64NVME that goes with the bytes is validated
// where the store claims so, and that every sum it reports is true.
var checksumTests = []check{
	{"ChecksumPut", testChecksumPut},
	{"ChecksumPart", needsParts(testChecksumPart)},
	{"ChecksumComplete", needsParts(testChecksumComplete)},
}

func crcOf(p []byte) objstore.Checksum {
	return objstore.Checksum{Sum: objstore.UpdateCRC64(0, p), Set: true}
}

// honest checks a sum that the store reported, if it did.
func honest(t *testing.T, got objstore.Checksum, data []byte, what string) {
	t.Helper()
	if got.Set && got != crcOf(data) {
		t.Errorf("%s reports CRC64 %x, want %x", what, got.Sum, crcOf(data).Sum)
	}
}

func testChecksumPut(t *testing.T, b subject, dir string) {
	key := dir + "object"
	for _, data := range [][]byte{bytesOf("checked", 300_000), []byte("small"), {}} {
		w := put(t, b, key, data, objstore.PutOptions{CRC64: crcOf(data)})
		honest(t, w.CRC64, data, "Put")
		honest(t, stat(t, b, key).CRC64, data, "Stat")
		holds(t, b, key, data)
	}
	if !b.Capabilities().ChecksumPut {
		t.Skip("sums are not validated")
	}
	old := []byte("the old object")
	put(t, b, key, old, objstore.PutOptions{})
	for _, data := range [][]byte{bytesOf("wrong", 300_000), []byte("wrong"), {}} {
		wrong := objstore.Checksum{Sum: crcOf(data).Sum ^ 1, Set: true}
		for _, k := range []string{key, dir + "fresh"} {
			body := watch(bytes.NewReader(data))
			_, err := b.Put(t.Context(), k, body, int64(len(data)), objstore.PutOptions{CRC64: wrong})
			body.done(t)
			wantErr(t, err, objstore.ErrChecksum, "Put with a wrong sum")
		}
	}
	holds(t, b, key, old)
	absent(t, b, dir+"fresh")
}

func testChecksumPart(t *testing.T, b subject, dir string) {
	ctx, key, data := t.Context(), dir+"object", []byte("a part")
	id := create(t, b, key, objstore.PutOptions{WillCRC64: b.Capabilities().ChecksumComplete})
	part, err := b.PutPart(ctx, key, id, 1, bytes.NewReader(data), int64(len(data)), objstore.PartOptions{CRC64: crcOf(data)})
	if err != nil {
		t.Fatalf("PutPart with a sum = %v", err)
	}
	honest(t, part.CRC64, data, "PutPart")
	if b.Capabilities().ChecksumPut {
		wrong := objstore.Checksum{Sum: crcOf(data).Sum ^ 1, Set: true}
		_, err := b.PutPart(ctx, key, id, 2, bytes.NewReader(data), int64(len(data)), objstore.PartOptions{CRC64: wrong})
		wantErr(t, err, objstore.ErrChecksum, "PutPart with a wrong sum")
	}
	parts, err := b.ListParts(ctx, key, id)
	if err != nil || len(parts) != 1 {
		t.Errorf("ListParts = %+v, %v, want one", parts, err)
	}
	if err := b.AbortMultipart(ctx, key, id); err != nil {
		t.Errorf("AbortMultipart = %v", err)
	}
}

// testChecksumComplete completes uploads with the sum of the whole object,
// combined from those of the parts.
func testChecksumComplete(t *testing.T, b subject, dir string) {
	if !b.Capabilities().ChecksumComplete {
		t.Skip("sums are not validated at completion")
	}
	n := smallestPart(b)
	data := bytesOf("complete", n+333)
	complete := func(key string, cuts [][]byte, sum objstore.Checksum) (objstore.Written, error) {
		id := create(t, b, key, objstore.PutOptions{WillCRC64: true})
		var parts []objstore.Part
		for i, cut := range cuts {
			p, err := b.PutPart(t.Context(), key, id, i+1, bytes.NewReader(cut), int64(len(cut)), objstore.PartOptions{CRC64: crcOf(cut)})
			if err != nil {
				t.Fatalf("PutPart = %v", err)
			}
			parts = append(parts, p)
		}
		w, err := b.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{CRC64: sum})
		if abortErr := b.AbortMultipart(t.Context(), key, id); abortErr != nil {
			t.Errorf("AbortMultipart after completion = %v", abortErr)
		}
		return w, err
	}
	combined := objstore.CombineCRC64(crcOf(data[:n]).Sum, crcOf(data[n:]).Sum, 333)
	w, err := complete(dir+"object", [][]byte{data[:n], data[n:]}, objstore.Checksum{Sum: combined, Set: true})
	if err != nil {
		t.Fatalf("CompleteMultipart with the right sum = %v", err)
	}
	honest(t, w.CRC64, data, "CompleteMultipart")
	honest(t, stat(t, b, dir+"object").CRC64, data, "Stat")
	holds(t, b, dir+"object", data)

	for _, key := range []string{dir + "object", dir + "fresh"} {
		_, err = complete(key, [][]byte{[]byte("one small part")}, objstore.Checksum{Sum: combined, Set: true})
		wantErr(t, err, objstore.ErrChecksum, "CompleteMultipart with a wrong sum")
	}
	holds(t, b, dir+"object", data)
	absent(t, b, dir+"fresh")
}
