package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

func create(t testing.TB, b *Bucket, key string) string {
	t.Helper()
	id, err := b.CreateMultipart(t.Context(), key, objstore.PutOptions{Meta: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func putPart(t testing.TB, b *Bucket, key, id string, number int, data string) objstore.Part {
	t.Helper()
	p, err := b.PutPart(t.Context(), key, id, number, strings.NewReader(data), int64(len(data)), objstore.PartOptions{})
	if err != nil {
		t.Fatalf("PutPart(%d) = %v", number, err)
	}
	return p
}

func complete(t testing.TB, b *Bucket, key, id string, parts []objstore.Part) {
	t.Helper()
	sum := crcOf(t, parts)
	w, err := b.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{CRC64: sum})
	if err != nil {
		t.Fatalf("CompleteMultipart = %v", err)
	}
	if sum.Set && w.CRC64 != sum {
		t.Errorf("CRC64 is %+v, want %+v", w.CRC64, sum)
	}
}

// crcOf combines the sums of parts, if all have one.
func crcOf(t testing.TB, parts []objstore.Part) (sum objstore.Checksum) {
	t.Helper()
	sum.Set = true
	for _, p := range parts {
		if !p.CRC64.Set {
			return objstore.Checksum{}
		}
		sum.Sum = objstore.CombineCRC64(sum.Sum, p.CRC64.Sum, p.Size)
	}
	return sum
}

// inode identifies the file at a path below a bucket; 0 where there are no inodes.
func inode(t testing.TB, b *Bucket, path string) uint64 {
	t.Helper()
	s, err := b.root.lstatPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return s.inode
}

func uploadPath(id, name string) string { return Reserved + "/" + uploadDir + "/" + id + "/" + name }

// Parts of one size become the object without being copied, in whatever order
// they came, and the upload leaves nothing behind.
func TestPartsInPlace(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]Options{"attributes": {NoSync: true}, "sidecars": {NoSync: true, Sidecars: true}, "durable": {}} {
		b := openDir(t, t.TempDir(), opt)
		id := create(t, b, "dir/key")
		var parts []objstore.Part
		for _, number := range []int{3, 1, 4, 2} {
			data := strings.Repeat(fmt.Sprint(number), 1000)
			if number == 4 {
				data = "the last one"
			}
			parts = append(parts, putPart(t, b, "dir/key", id, number, data))
		}
		slices.SortFunc(parts, func(a, b objstore.Part) int { return a.Number - b.Number })
		before := inode(t, b, uploadPath(id, "s3e8"))
		complete(t, b, "dir/key", id, parts)
		if before != inode(t, b, "dir/key") {
			t.Errorf("%s: the parts were copied", name)
		}
		want := strings.Repeat("1", 1000) + strings.Repeat("2", 1000) + strings.Repeat("3", 1000) + "the last one"
		equal(t, want, get(t, b, "dir/key"), name)
		info := stat(t, b, "dir/key")
		equal(t, 4, info.Parts, name+": parts")
		equal(t, map[string]string{"k": "v"}, info.Meta, name+": metadata")
		left := slices.DeleteFunc(tree(t, b), func(p string) bool {
			return strings.HasSuffix(p, "/") || strings.HasPrefix(p, Reserved+"/"+sidecarDir)
		})
		equal(t, []string{"dir/key"}, left, name+": files")
	}
}

// Random uploads: any numbers, sizes, order, repeats, failures in between,
// a new process in between, any choice of parts.
func TestRandomUploads(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 3))
		key := fmt.Sprint("key", seed)
		id := create(t, b, key)
		stored := map[int]string{}
		for i := range 2 + r.IntN(12) {
			number, size := 1+r.IntN(6), []int{0, 7, 100, 100, 100, 100}[r.IntN(6)]
			data := strings.Repeat(string(rune('a'+i)), size)
			if r.IntN(4) == 0 {
				body := io.MultiReader(strings.NewReader(data), iotest.ErrReader(errors.New("broken")))
				if _, err := b.PutPart(t.Context(), key, id, number, body, int64(size+1), objstore.PartOptions{}); err == nil {
					t.Fatal("PutPart of a broken body succeeds")
				}
				continue
			}
			putPart(t, b, key, id, number, data)
			stored[number] = data
			if r.IntN(5) == 0 {
				b = openDir(t, b.path, b.opt)
			}
		}
		parts, err := b.ListParts(t.Context(), key, id)
		check(t, err)
		if len(parts) != len(stored) {
			t.Fatalf("seed %d: %d parts listed, want %d", seed, len(parts), len(stored))
		}
		if r.IntN(3) == 0 {
			parts = slices.DeleteFunc(parts, func(objstore.Part) bool { return r.IntN(3) == 0 })
		}
		if len(parts) == 0 {
			continue
		}
		if r.IntN(3) == 0 { // refused first; the parts must outlive it
			_, err := b.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{CRC64: objstore.Checksum{Sum: 1, Set: true}})
			wantErr(t, err, objstore.ErrChecksum, "CompleteMultipart with a wrong sum")
			if r.IntN(2) == 0 {
				stored[1] = strings.Repeat("Z", 100)
				p := putPart(t, b, key, id, 1, stored[1])
				parts = slices.DeleteFunc(parts, func(p objstore.Part) bool { return p.Number == 1 })
				parts = slices.Insert(parts, 0, p)
			}
		}
		var want string
		for _, p := range parts {
			want += stored[p.Number]
		}
		complete(t, b, key, id, parts)
		if got := get(t, b, key); got != want {
			t.Fatalf("seed %d: object is %q, want %q", seed, got, want)
		}
		if got := stat(t, b, key); got.Parts != len(parts) || !got.CRC64.Set || got.CRC64.Sum != objstore.UpdateCRC64(0, []byte(want)) {
			t.Fatalf("seed %d: %+v", seed, got)
		}
	}
}

// A writer that was stopped in the middle of a part, and goes on after the
// upload was completed without it, must not reach the object.
func TestStrayWriter(t *testing.T) {
	t.Parallel()
	b := quick(t)
	id := create(t, b, "key")
	first := putPart(t, b, "key", id, 1, "11111111")
	inside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	step := 0
	body := readerFunc(func(p []byte) (int, error) {
		if step++; step == 1 {
			close(inside)
			<-goOn
			return copy(p, "STRAY!!!"), nil
		}
		return 0, io.EOF
	})
	go func() {
		_, err := b.PutPart(t.Context(), "key", id, 2, body, 8, objstore.PartOptions{})
		done <- err
	}()
	<-inside
	second := putPart(t, b, "key", id, 2, "22222222")
	complete(t, b, "key", id, []objstore.Part{first, second})
	equal(t, "1111111122222222", get(t, b, "key"), "object")
	close(goOn)
	if err := <-done; err != nil && !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("the stray PutPart = %v", err)
	}
	equal(t, "1111111122222222", get(t, b, "key"), "object after the stray write")
}

// A completion cut short after the rename must not list parts whose bytes have
// become the object.
func TestCompletionCutShort(t *testing.T) {
	t.Parallel()
	b := quick(t)
	id := create(t, b, "key")
	putPart(t, b, "key", id, 1, "11111111")
	putPart(t, b, "key", id, 2, "2")
	check(t, os.Rename(filepath.Join(b.path, uploadPath(id, "s8")), filepath.Join(b.path, "key")))
	parts, err := b.ListParts(t.Context(), "key", id)
	check(t, err)
	if len(parts) != 1 || parts[0].Number != 2 {
		t.Errorf("parts are %+v, want the second alone", parts)
	}
}

// Of completions at the same time one succeeds, whole, and none writes to the
// object of the other.
func TestCompletionsCompete(t *testing.T) {
	t.Parallel()
	b := quick(t)
	for round := range 20 {
		key := fmt.Sprint("key", round)
		id := create(t, b, key)
		parts := []objstore.Part{putPart(t, b, key, id, 1, "11111111"), putPart(t, b, key, id, 2, "22222222"), putPart(t, b, key, id, 3, "3")}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				w, err := b.CompleteMultipart(t.Context(), key, id, parts, objstore.CompleteOptions{})
				switch {
				case err == nil && w.ETag == stat(t, b, key).ETag:
					won.Add(1)
				case err == nil:
					t.Errorf("the object changed after its completion")
				case !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, objstore.ErrInvalid):
					t.Errorf("CompleteMultipart = %v", err)
				}
			})
		}
		wg.Wait()
		equal(t, 1, won.Load(), "completions that succeeded")
		equal(t, "11111111222222223", get(t, b, key), "object")
	}
}

// After a completion that was refused the parts are where they were.
func TestRefusedCompletion(t *testing.T) {
	t.Parallel()
	b := quick(t)
	id := create(t, b, "key")
	parts := []objstore.Part{putPart(t, b, "key", id, 1, "11111111"), putPart(t, b, "key", id, 2, "2")}
	before := tree(t, b)
	_, err := b.CompleteMultipart(t.Context(), "key", id, parts, objstore.CompleteOptions{CRC64: objstore.Checksum{Sum: 1, Set: true}})
	wantErr(t, err, objstore.ErrChecksum, "CompleteMultipart with a wrong sum")
	put(t, b, "key", "meanwhile", objstore.PutOptions{})
	_, err = b.CompleteMultipart(t.Context(), "key", id, parts, objstore.CompleteOptions{IfAbsent: true})
	wantErr(t, err, objstore.ErrPrecondition, "CompleteMultipart over an object")
	after := slices.DeleteFunc(tree(t, b), func(p string) bool { return p == "key" || strings.HasSuffix(p, "/"+closedName) })
	equal(t, before, after, "files of the upload")
	complete(t, b, "key", id, parts)
	equal(t, "111111112", get(t, b, "key"), "object")
}

func TestUploadIsOfItsKey(t *testing.T) {
	t.Parallel()
	b := quick(t)
	id := create(t, b, "key")
	p := putPart(t, b, "key", id, 1, "x")
	for _, c := range []struct{ key, id string }{{"other", id}, {"key", id + "x"}, {"key", "../tmp"}, {"key", ""}, {"key", "."}} {
		_, err := b.ListParts(t.Context(), c.key, c.id)
		wantErr(t, err, objstore.ErrNotFound, "ListParts")
		_, err = b.PutPart(t.Context(), c.key, c.id, 1, bytes.NewReader(nil), 0, objstore.PartOptions{})
		wantErr(t, err, objstore.ErrNotFound, "PutPart")
		_, err = b.CompleteMultipart(t.Context(), c.key, c.id, []objstore.Part{p}, objstore.CompleteOptions{})
		wantErr(t, err, objstore.ErrNotFound, "CompleteMultipart")
		check(t, b.AbortMultipart(t.Context(), c.key, c.id))
	}
	complete(t, b, "key", id, []objstore.Part{p})
	equal(t, "x", get(t, b, "key"), "object")
}

// Without flushes the bytes of an upload may have been in memory alone: after
// another boot it is not resumed.
func TestUploadOfAnotherBoot(t *testing.T) {
	t.Parallel()
	b := quick(t)
	if bootID() == "" {
		t.Skip("boots are not told apart here")
	}
	id := create(t, b, "key")
	putPart(t, b, "key", id, 1, "x")
	about := attrs{key: "key", boot: "another boot"}
	write(t, b, uploadPath(id, aboutName), string(about.encode()))
	_, err := b.ListParts(t.Context(), "key", id)
	wantErr(t, err, objstore.ErrNotFound, "ListParts")
}

// A sum that no part brought along is computed from the bytes.
func TestSumOfCopiedParts(t *testing.T) {
	t.Parallel()
	b := quick(t)
	put(t, b, "from", "0123456789", objstore.PutOptions{})
	id := create(t, b, "key")
	var parts []objstore.Part
	for i, r := range [][2]int64{{2, 4}, {0, 4}, {8, 2}} {
		p, err := b.CopyPart(t.Context(), "key", id, i+1, objstore.CopySource{Bucket: b.path, Key: "from", Offset: r[0], Length: r[1]})
		check(t, err)
		parts = append(parts, p)
	}
	_, err := b.CopyPart(t.Context(), "key", id, 4, objstore.CopySource{Bucket: b.path, Key: "from", Offset: 8, Length: 3})
	wantErr(t, err, objstore.ErrInvalid, "CopyPart beyond the end")
	_, err = b.CompleteMultipart(t.Context(), "key", id, parts, objstore.CompleteOptions{CRC64: objstore.Checksum{Sum: 1, Set: true}})
	wantErr(t, err, objstore.ErrChecksum, "CompleteMultipart with a wrong sum")
	want := objstore.Checksum{Sum: objstore.UpdateCRC64(0, []byte("2345012389")), Set: true}
	w, err := b.CompleteMultipart(t.Context(), "key", id, parts, objstore.CompleteOptions{CRC64: want})
	check(t, err)
	equal(t, want, w.CRC64, "sum")
	equal(t, "2345012389", get(t, b, "key"), "object")
}
