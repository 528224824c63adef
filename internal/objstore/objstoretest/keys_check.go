package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// subtle are the keys tried with the verbs that a driver may send in another
// way than Put, Open and Delete.
var subtle = []string{
	"plus+plus", "plus plus", "plus%2Bplus", "percent%", "query?uploads", "fragment#part", " leading", "trailing ", "a&amp;b", "<tag>",
	"日本語/キー", "nfd-e\u0301", "tab\tx", "a//b", "./a", "..", "/leading", "\x01", "latin1-\xe9",
}

// testKeys puts the corpus and checks that every key the store accepted is that
// key everywhere, and that every key it refused left no trace.
func testKeys(t *testing.T, b subject) {
	held, refused := putCorpus(t, b)
	slices.Sort(held)
	same := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(held, keysOf(list(t, b, objstore.ListOptions{}))); diff != "" {
			t.Errorf("listing (-want +got):\n%s", diff)
		}
	}
	t.Run("Listed", same)
	t.Run("Paged", func(t *testing.T) {
		if diff := cmp.Diff(held, keysOf(list(t, b, objstore.ListOptions{PageSize: 7}))); diff != "" {
			t.Errorf("listing in pages (-want +got):\n%s", diff)
		}
	})
	t.Run("Bounds", func(t *testing.T) { testKeyBounds(t, b, held) })
	t.Run("Read", func(t *testing.T) {
		each(t, held, func(ctx context.Context, key string) error { return readBack(ctx, b, key) })
	})
	t.Run("Refused", func(t *testing.T) {
		each(t, refused, func(ctx context.Context, key string) error { return refusedLeavesNothing(ctx, b, key) })
		same(t)
	})
	some := slices.DeleteFunc(slices.Clone(subtle), func(key string) bool { return !slices.Contains(held, key) })
	t.Run("Copy", func(t *testing.T) {
		if b.Capabilities().MaxCopy == 0 {
			t.Skip("no server-side copy")
		}
		each(t, some, func(ctx context.Context, key string) error { return copyAway(ctx, b, key) })
		same(t)
	})
	t.Run("Multipart", func(t *testing.T) {
		if b.Capabilities().MaxParts == 0 {
			t.Skip("no multipart")
		}
		each(t, some, func(ctx context.Context, key string) error { return uploadInPlace(ctx, b, key) })
		same(t)
	})
	t.Run("Tags", func(t *testing.T) {
		if !b.Capabilities().Tags {
			t.Skip("no tags")
		}
		each(t, some, func(ctx context.Context, key string) error { return tagInPlace(ctx, b, key) })
	})
	t.Run("Deleted", func(t *testing.T) { testKeysDeleted(t, b, held) })
}

// keyContent is the body of a key of the corpus. A key that ends in a slash gets
// none, because some stores keep such objects only when they are empty.
func keyContent(key string) []byte {
	if strings.HasSuffix(key, "/") {
		return nil
	}
	return []byte("content of " + key)
}

// putCorpus puts all keys, one after the other: some refuse their neighbours.
func putCorpus(t *testing.T, b subject) (held, refused []string) {
	caps := b.Capabilities()
	for i, key := range slices.Concat(Keys(), RawKeys()) {
		if slices.Contains(b.defects.Unlisted, key) {
			continue
		}
		raw := i >= len(Keys())
		must := ordinary(key) || raw && caps.NonUTF8Keys
		if caps.MaxKey > 0 && len(key) > caps.MaxKey {
			must = false
		}
		body := keyContent(key)
		_, err := b.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), objstore.PutOptions{})
		switch {
		case err == nil:
			held = append(held, key)
		case !must && errors.Is(err, objstore.ErrKey):
			refused = append(refused, key)
		default:
			t.Errorf("Put(%q) = %v", key, err)
			refused = append(refused, key)
		}
	}
	return held, refused
}

// testKeyBounds checks each key as the marker, the end and the prefix of a listing.
func testKeyBounds(t *testing.T, b objstore.Bucket, held []string) {
	each(t, held, func(ctx context.Context, key string) error {
		i, _ := slices.BinarySearch(held, key)
		next := slices.Clone(held[i+1 : min(i+2, len(held))])
		if got, err := first(ctx, b, objstore.ListOptions{After: key}, len(next)); err != nil || !slices.Equal(got, next) {
			return errors.Join(fmt.Errorf("first after %q is %q, want %q", key, got, next), err)
		}
		if got, err := first(ctx, b, objstore.ListOptions{Prefix: key, Until: key}, 2); err != nil || !slices.Equal(got, []string{key}) {
			return errors.Join(fmt.Errorf("prefix and end %q list %q", key, got), err)
		}
		return nil
	})
}

// first returns up to n keys of a listing in pages of that size.
func first(ctx context.Context, b objstore.Bucket, opt objstore.ListOptions, n int) ([]string, error) {
	opt.PageSize = max(n, 1)
	keys := []string{}
	for page, err := range b.List(ctx, opt) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, keysOf(page.Objects)...)
		if len(keys) >= opt.PageSize {
			break
		}
	}
	return keys, nil
}

func readBack(ctx context.Context, b objstore.Bucket, key string) error {
	info, err := b.Stat(ctx, key)
	if err != nil || info.Key != key || info.Size != int64(len(keyContent(key))) {
		return errors.Join(fmt.Errorf("stat of %q is %q of %d bytes", key, info.Key, info.Size), err)
	}
	c, err := b.Open(ctx, key, objstore.OpenOptions{})
	if err != nil {
		return err
	}
	defer c.Body.Close()
	got, err := io.ReadAll(c.Body)
	if err != nil || c.Key != key || !bytes.Equal(got, keyContent(key)) {
		return errors.Join(fmt.Errorf("open of %q is %q with %q", key, c.Key, got), err)
	}
	return nil
}

// refusedLeavesNothing checks that a refused key is not there and that deleting
// it harms nothing; the caller lists afterwards. The answer to a HEAD has no body
// to say why it is refused: ErrInvalid will do.
func refusedLeavesNothing(ctx context.Context, b objstore.Bucket, key string) error {
	if _, err := b.Stat(ctx, key); !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, objstore.ErrKey) && !errors.Is(err, objstore.ErrInvalid) {
		return errors.Join(fmt.Errorf("stat of refused key %q", key), err)
	}
	if c, err := b.Open(ctx, key, objstore.OpenOptions{}); !errors.Is(err, objstore.ErrNotFound) && !errors.Is(err, objstore.ErrKey) {
		if c != nil {
			c.Body.Close()
		}
		return errors.Join(fmt.Errorf("open of refused key %q", key), err)
	}
	if err := b.Delete(ctx, key, objstore.DeleteOptions{}); err != nil && !errors.Is(err, objstore.ErrKey) {
		return fmt.Errorf("delete of refused key %q = %w", key, err)
	}
	return nil
}

// copyAway copies key to a plain key, compares, and removes the copy.
func copyAway(ctx context.Context, b objstore.Bucket, key string) error {
	to := fmt.Sprintf("copy-of-%x", key)
	if _, err := b.Copy(ctx, to, source(b, key), objstore.PutOptions{}); err != nil {
		return fmt.Errorf("copy of %q: %w", key, err)
	}
	c, err := b.Open(ctx, to, objstore.OpenOptions{})
	if err != nil {
		return err
	}
	defer c.Body.Close()
	if got, err := io.ReadAll(c.Body); err != nil || !bytes.Equal(got, keyContent(key)) {
		return errors.Join(fmt.Errorf("copy of %q holds %q", key, got), err)
	}
	return b.Delete(ctx, to, objstore.DeleteOptions{})
}

// uploadInPlace replaces an object by an upload of the same bytes in one part.
func uploadInPlace(ctx context.Context, b objstore.Bucket, key string) error {
	id, err := b.CreateMultipart(ctx, key, objstore.PutOptions{})
	if err != nil {
		return fmt.Errorf("create upload %q: %w", key, err)
	}
	body := keyContent(key)
	if _, err := b.PutPart(ctx, key, id, 1, bytes.NewReader(body), int64(len(body)), objstore.PartOptions{}); err != nil {
		return fmt.Errorf("put part of %q: %w", key, err)
	}
	parts, err := b.ListParts(ctx, key, id)
	if err != nil || len(parts) != 1 {
		return errors.Join(fmt.Errorf("list parts of %q: %d parts", key, len(parts)), err)
	}
	if _, err := b.CompleteMultipart(ctx, key, id, parts, objstore.CompleteOptions{}); err != nil {
		return fmt.Errorf("complete upload %q: %w", key, err)
	}
	return readBack(ctx, b, key)
}

func tagInPlace(ctx context.Context, b objstore.Bucket, key string) error {
	want := fmt.Sprintf("%x", key)
	if err := b.SetTags(ctx, key, map[string]string{"of": want}); err != nil {
		return fmt.Errorf("set tags of %q: %w", key, err)
	}
	if got, err := b.Tags(ctx, key); err != nil || got["of"] != want {
		return errors.Join(fmt.Errorf("tags of %q are %v", key, got), err)
	}
	return nil
}

// testKeysDeleted deletes every other key in bulk and the rest one by one.
func testKeysDeleted(t *testing.T, b objstore.Bucket, held []string) {
	var bulk, rest []string
	for i, key := range held {
		if i%2 == 0 {
			bulk = append(bulk, key)
		} else {
			rest = append(rest, key)
		}
	}
	deleteAll(t, b, bulk)
	if diff := cmp.Diff(rest, keysOf(list(t, b, objstore.ListOptions{}))); diff != "" {
		t.Errorf("after deleting every other key (-want +got):\n%s", diff)
	}
	each(t, rest, func(ctx context.Context, key string) error { return b.Delete(ctx, key, objstore.DeleteOptions{}) })
	if got := keysOf(list(t, b, objstore.ListOptions{})); len(got) > 0 {
		t.Errorf("after deleting every key: %q", got)
	}
}

// deleteAll deletes keys in as few requests as the store takes. A key that a
// request for many cannot carry must still be deletable alone.
func deleteAll(t *testing.T, b objstore.Bucket, keys []string) {
	t.Helper()
	alone := keys
	if n := b.Capabilities().DeleteMany; n > 0 {
		alone = nil
		for chunk := range slices.Chunk(keys, n) {
			perKey, err := b.DeleteMany(t.Context(), chunk)
			if err != nil || len(perKey) != len(chunk) {
				t.Fatalf("DeleteMany of %d keys = %d results, %v", len(chunk), len(perKey), err)
			}
			for i, err := range perKey {
				switch {
				case errors.Is(err, objstore.ErrKey):
					alone = append(alone, chunk[i])
				case err != nil:
					t.Errorf("DeleteMany: %q: %v", chunk[i], err)
				}
			}
		}
	}
	each(t, alone, func(ctx context.Context, key string) error { return b.Delete(ctx, key, objstore.DeleteOptions{}) })
}
