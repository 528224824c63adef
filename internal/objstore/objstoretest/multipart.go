package objstoretest

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// multipartTests check uploads in parts. Only the first moves parts of the
// smallest size the store takes, which may be 5 MiB; an upload in one part may be
// small anywhere.
var multipartTests = []check{
	{"Multipart", needsParts(testMultipart)},
	{"MultipartAbort", needsParts(testMultipartAbort)},
	{"MultipartFailures", needsParts(testMultipartFailures)},
	{"MultipartManyParts", needsParts(testMultipartManyParts)},
	{"MultipartUnsupported", testMultipartUnsupported},
}

func needsParts(f func(*testing.T, subject, string)) func(*testing.T, subject, string) {
	return func(t *testing.T, b subject, dir string) {
		if b.Capabilities().MaxParts == 0 {
			t.Skip("no multipart")
		}
		f(t, b, dir)
	}
}

func testMultipartUnsupported(t *testing.T, b subject, dir string) {
	if b.Capabilities().MaxParts > 0 {
		t.Skip("has multipart")
	}
	_, err := b.CreateMultipart(t.Context(), dir+"object", objstore.PutOptions{})
	wantErr(t, err, objstore.ErrUnsupported, "CreateMultipart")
}

// smallestPart is a size that every part but the last may have.
func smallestPart(b objstore.Bucket) int {
	return int(max(b.Capabilities().MinPart, 1000))
}

func create(t *testing.T, b objstore.Bucket, key string, opt objstore.PutOptions) string {
	t.Helper()
	id, err := b.CreateMultipart(t.Context(), key, opt)
	if err != nil || id == "" {
		t.Fatalf("CreateMultipart(%q) = %q, %v", key, id, err)
	}
	return id
}

func putPart(t *testing.T, b objstore.Bucket, key, id string, number int, data []byte) objstore.Part {
	t.Helper()
	body := watch(bytes.NewReader(data))
	p, err := b.PutPart(t.Context(), key, id, number, body, int64(len(data)), objstore.PartOptions{})
	body.done(t)
	if err != nil {
		t.Fatalf("PutPart(%q, %d) = %v", key, number, err)
	}
	if p.Number != number || p.Size != int64(len(data)) {
		t.Errorf("PutPart(%q, %d) of %d bytes = %+v", key, number, len(data), p)
	}
	return p
}

// testMultipart uploads parts out of order, replaces one, goes on from what the
// store says it has, and completes over an old object.
func testMultipart(t *testing.T, b subject, dir string) {
	key, old, opt := dir+"object", []byte("the old object"), attributed()
	put(t, b, key, old, objstore.PutOptions{})
	n := smallestPart(b)
	data := bytesOf("multipart", 2*n+777)
	cuts := [][]byte{data[:n], data[n : 2*n], data[2*n:]}

	id := create(t, b, key, opt)
	if parts, err := b.ListParts(t.Context(), key, id); err != nil || len(parts) != 0 {
		t.Errorf("ListParts of a new upload = %v, %v", parts, err)
	}
	putPart(t, b, key, id, 3, cuts[2])
	putPart(t, b, key, id, 2, []byte("replaced below"))
	putPart(t, b, key, id, 1, cuts[0])
	putPart(t, b, key, id, 2, cuts[1])
	holds(t, b, key, old)
	if got := keysOf(list(t, b, objstore.ListOptions{Prefix: dir})); !slices.Equal(got, []string{key}) {
		t.Errorf("an unfinished upload is listed: %q", got)
	}
	parts, err := b.ListParts(t.Context(), key, id)
	if err != nil || len(parts) != 3 {
		t.Fatalf("ListParts = %+v, %v, want 3", parts, err)
	}
	for i, p := range parts {
		if p.Number != i+1 || p.Size != int64(len(cuts[i])) || p.ETag == "" {
			t.Errorf("part %d is listed as %+v, want %d bytes", i+1, p, len(cuts[i]))
		}
	}
	w, err := b.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{})
	if err != nil {
		t.Fatalf("CompleteMultipart = %v", err)
	}
	holds(t, b, key, data)
	carries(t, b, key, opt, w.Dropped)
	uploaded(t, b, key, w, cuts)
	_, err = b.ListParts(t.Context(), key, id)
	wantErr(t, err, objstore.ErrNotFound, "ListParts of a completed upload")
}

// uploaded checks what Stat and Open say of an object uploaded in these parts.
func uploaded(t *testing.T, b objstore.Bucket, key string, w objstore.Written, cuts [][]byte) {
	t.Helper()
	info, caps := stat(t, b, key), b.Capabilities()
	if w.ETag != info.ETag {
		t.Errorf("completion says ETag %q, stat %q", w.ETag, info.ETag)
	}
	var sums []byte
	for _, c := range cuts {
		sum := md5.Sum(c)
		sums = append(sums, sum[:]...)
	}
	if want := fmt.Sprintf("%x-%d", md5.Sum(sums), len(cuts)); caps.ETag == objstore.ETagMD5 && !info.OpaqueETag && info.ETag != want {
		t.Errorf("ETag %q is not %q, the MD5 of the parts' MD5s", info.ETag, want)
	}
	if info.Parts != 0 && info.Parts != len(cuts) {
		t.Errorf("Parts = %d, want %d or 0", info.Parts, len(cuts))
	}
	if sum := objstore.UpdateCRC64(0, bytes.Join(cuts, nil)); info.CRC64.Set && info.CRC64.Sum != sum {
		t.Errorf("CRC64 = %x, want %x", info.CRC64.Sum, sum)
	}
	if !caps.PartLayout {
		return
	}
	for i, want := range cuts {
		c, err := b.Open(t.Context(), key, objstore.OpenOptions{Part: i + 1, IfMatch: info.ETag})
		if err != nil {
			t.Errorf("Open of part %d = %v", i+1, err)
			continue
		}
		if got := readAll(t, c); !bytes.Equal(got, want) || c.Size != info.Size {
			t.Errorf("part %d reads %d bytes of an object of %d, want %d of %d", i+1, len(got), c.Size, len(want), info.Size)
		}
	}
	if c, err := b.Open(t.Context(), key, objstore.OpenOptions{Part: len(cuts) + 1}); err == nil {
		t.Errorf("Open of a part beyond the last delivers %d bytes", c.Length)
		c.Body.Close()
	}
}

// testMultipartAbort: an aborted upload is gone, and aborting it again is no error.
func testMultipartAbort(t *testing.T, b subject, dir string) {
	ctx, key := t.Context(), dir+"object"
	id := create(t, b, key, objstore.PutOptions{})
	other := create(t, b, key, objstore.PutOptions{})
	if id == other {
		t.Fatalf("two uploads of one key share the id %q", id)
	}
	part := putPart(t, b, key, id, 1, []byte("x"))
	for range 2 {
		if err := b.AbortMultipart(ctx, key, id); err != nil {
			t.Errorf("AbortMultipart = %v", err)
		}
	}
	_, err := b.ListParts(ctx, key, id)
	wantErr(t, err, objstore.ErrNotFound, "ListParts of an aborted upload")
	_, err = b.PutPart(ctx, key, id, 1, strings.NewReader("x"), 1, objstore.PartOptions{})
	wantErr(t, err, objstore.ErrNotFound, "PutPart to an aborted upload")
	_, err = b.CompleteMultipart(ctx, key, id, []objstore.Part{part}, objstore.CompleteOptions{})
	wantErr(t, err, objstore.ErrNotFound, "CompleteMultipart of an aborted upload")
	absent(t, b, key)

	last := putPart(t, b, key, other, 1, []byte("the other upload goes on"))
	if _, err := b.CompleteMultipart(ctx, key, other, []objstore.Part{last}, objstore.CompleteOptions{}); err != nil {
		t.Errorf("CompleteMultipart beside an aborted upload = %v", err)
	}
	holds(t, b, key, []byte("the other upload goes on"))
}

// testMultipartFailures: what goes wrong with a part or a completion harms
// neither the old object nor the parts already stored.
func testMultipartFailures(t *testing.T, b subject, dir string) {
	ctx, key, old, data := t.Context(), dir+"object", []byte("the old object"), []byte("the first part")
	put(t, b, key, old, objstore.PutOptions{})
	id := create(t, b, key, objstore.PutOptions{})
	good := putPart(t, b, key, id, 1, data)
	for _, number := range []int{1, 2} {
		body := watch(failing(bytesOf("half", 100_000)))
		_, err := b.PutPart(ctx, key, id, number, body, 200_000, objstore.PartOptions{})
		body.done(t)
		if err == nil {
			t.Errorf("PutPart %d of a failing body succeeds", number)
		}
	}
	_, err := b.PutPart(ctx, key, id, 2, strings.NewReader("short"), 6, objstore.PartOptions{})
	if err == nil {
		t.Error("PutPart of a short body succeeds")
	}
	parts, err := b.ListParts(ctx, key, id)
	if err != nil || len(parts) != 1 || parts[0].ETag != good.ETag {
		t.Errorf("after failed parts ListParts = %+v, %v, want part 1 alone", parts, err)
	}
	wrong := good
	wrong.ETag = strings.Repeat("0", 32)
	missing := objstore.Part{Number: 2, Size: 1, ETag: good.ETag}
	for _, parts := range [][]objstore.Part{{wrong}, {good, missing}, {}} {
		if _, err := b.CompleteMultipart(ctx, key, id, parts, objstore.CompleteOptions{}); err == nil {
			t.Errorf("CompleteMultipart(%+v) succeeds", parts)
		}
	}
	holds(t, b, key, old)
	if _, err := b.CompleteMultipart(ctx, key, id, []objstore.Part{good}, objstore.CompleteOptions{}); err != nil {
		t.Errorf("CompleteMultipart after refused completions = %v", err)
	}
	holds(t, b, key, data)
}

// testMultipartManyParts: the list of parts is complete beyond a page of 1,000.
func testMultipartManyParts(t *testing.T, b subject, dir string) {
	const n = 1005
	if b.Capabilities().MaxParts < n || testing.Short() {
		t.Skip("too few parts allowed, or a short run")
	}
	key := dir + "object"
	id := create(t, b, key, objstore.PutOptions{})
	var numbers []string
	for i := range n {
		numbers = append(numbers, strconv.Itoa(i+1))
	}
	each(t, numbers, func(ctx context.Context, number string) error {
		i, _ := strconv.Atoi(number)
		_, err := b.PutPart(ctx, key, id, i, strings.NewReader(number), int64(len(number)), objstore.PartOptions{})
		return err
	})
	parts, err := b.ListParts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range parts {
		got = append(got, strconv.Itoa(p.Number))
	}
	if diff := cmp.Diff(numbers, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if err := b.AbortMultipart(t.Context(), key, id); err != nil {
		t.Errorf("AbortMultipart = %v", err)
	}
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("Stat after abort = %v", err)
	}
}
