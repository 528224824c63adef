package objstoretest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// conditionTests check conditional writes as far as Capabilities.Conditional
// claims them; a condition that is not claimed is not sent.
var conditionTests = []check{
	{"PutIfAbsent", testPutIfAbsent},
	{"PutIfMatch", testPutIfMatch},
	{"PutIfAbsentRace", testPutIfAbsentRace},
	{"CompleteIfAbsent", needsParts(testCompleteIfAbsent)},
	{"CompleteIfMatch", needsParts(testCompleteIfMatch)},
}

// tryPut puts under a condition. A server that refuses before it has read a large
// body may cut the connection and with it its own answer, so what looks transient
// is tried again.
func tryPut(t *testing.T, b objstore.Bucket, key string, data []byte, opt objstore.PutOptions) error {
	var err error
	for range 5 {
		body := watch(bytes.NewReader(data))
		_, err = b.Put(t.Context(), key, body, int64(len(data)), opt)
		body.done(t)
		if !objstore.Transient(err) {
			break
		}
	}
	return err
}

// settles checks the end of a write under a condition that does not hold:
// refused with the old object in place where the store obeys, done where not.
func settles(t *testing.T, b objstore.Bucket, err error, obeys bool, key string, old, data []byte, what string) {
	t.Helper()
	if obeys {
		wantErr(t, err, objstore.ErrPrecondition, what)
		holds(t, b, key, old)
		return
	}
	if err != nil {
		t.Errorf("%s on a store without such conditions = %v", what, err)
	}
	holds(t, b, key, data)
}

func testPutIfAbsent(t *testing.T, b subject, dir string) {
	obeys := b.Capabilities().Conditional != objstore.ConditionalNone
	key, old, data := dir+"object", []byte("old"), bytesOf("new", 500_000)
	if err := tryPut(t, b, key, old, objstore.PutOptions{IfAbsent: true}); err != nil {
		t.Fatalf("Put if absent of a new key = %v", err)
	}
	err := tryPut(t, b, key, data, objstore.PutOptions{IfAbsent: true})
	settles(t, b, err, obeys, key, old, data, "Put if absent over an object")
	if err := b.Delete(t.Context(), key, objstore.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := tryPut(t, b, key, old, objstore.PutOptions{IfAbsent: true}); err != nil {
		t.Errorf("Put if absent of a deleted key = %v", err)
	}
}

func testPutIfMatch(t *testing.T, b subject, dir string) {
	obeys := b.Capabilities().Conditional == objstore.ConditionalFull
	key, old, data := dir+"object", []byte("second"), bytesOf("new", 500_000)
	put(t, b, key, []byte("first"), objstore.PutOptions{})
	first := stat(t, b, key).ETag
	if first == "" {
		t.Skip("no ETags")
	}
	if err := tryPut(t, b, key, old, objstore.PutOptions{IfMatch: first}); err != nil {
		t.Fatalf("Put with the present ETag = %v", err)
	}
	err := tryPut(t, b, key, data, objstore.PutOptions{IfMatch: first})
	settles(t, b, err, obeys, key, old, data, "Put with an old ETag")
	if !obeys {
		return
	}
	// Amazon S3 answers 404, others 412.
	err = tryPut(t, b, dir+"nothing", data, objstore.PutOptions{IfMatch: first})
	if !errors.Is(err, objstore.ErrPrecondition) && !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("Put with an ETag where nothing is = %v, want ErrPrecondition or ErrNotFound", err)
	}
	absent(t, b, dir+"nothing")
}

// testPutIfAbsentRace: of many that create a key, one does.
func testPutIfAbsentRace(t *testing.T, b subject, dir string) {
	if b.Capabilities().Conditional == objstore.ConditionalNone {
		t.Skip("no conditional writes")
	}
	for round := range 4 {
		key := fmt.Sprint(dir, "object", round)
		var won atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				data := fmt.Sprint("writer ", i)
				_, err := b.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), objstore.PutOptions{IfAbsent: true})
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(data)
				case !errors.Is(err, objstore.ErrPrecondition) && !objstore.Transient(err):
					t.Errorf("Put if absent in a race = %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 writers created %q", won.Load(), key)
		}
		holds(t, b, key, []byte(winner.Load().(string)))
	}
}

// upload makes key of one part under a condition.
func upload(t *testing.T, b objstore.Bucket, key string, data []byte, opt objstore.CompleteOptions) error {
	t.Helper()
	id := create(t, b, key, objstore.PutOptions{IfAbsent: opt.IfAbsent, IfMatch: opt.IfMatch})
	part := putPart(t, b, key, id, 1, data)
	_, err := b.CompleteMultipart(t.Context(), key, id, []objstore.Part{part}, opt)
	if abortErr := b.AbortMultipart(t.Context(), key, id); abortErr != nil {
		t.Errorf("AbortMultipart after completion = %v", abortErr)
	}
	return err
}

func testCompleteIfAbsent(t *testing.T, b subject, dir string) {
	obeys := b.Capabilities().Conditional != objstore.ConditionalNone
	key, old, data := dir+"object", []byte("old"), []byte("new")
	if err := upload(t, b, key, old, objstore.CompleteOptions{IfAbsent: true}); err != nil {
		t.Fatalf("completion if absent of a new key = %v", err)
	}
	err := upload(t, b, key, data, objstore.CompleteOptions{IfAbsent: true})
	settles(t, b, err, obeys, key, old, data, "completion if absent over an object")
}

func testCompleteIfMatch(t *testing.T, b subject, dir string) {
	obeys := b.Capabilities().Conditional == objstore.ConditionalFull
	key, old, data := dir+"object", []byte("second"), []byte("third")
	put(t, b, key, []byte("first"), objstore.PutOptions{})
	first := stat(t, b, key).ETag
	if first == "" {
		t.Skip("no ETags")
	}
	if err := upload(t, b, key, old, objstore.CompleteOptions{IfMatch: first}); err != nil {
		t.Fatalf("completion with the present ETag = %v", err)
	}
	err := upload(t, b, key, data, objstore.CompleteOptions{IfMatch: first})
	settles(t, b, err, obeys, key, old, data, "completion with an old ETag")
}
