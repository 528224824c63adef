package objstoretest_test

import (
	"context"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
)

// mutantEnv names the mutant that TestMutantProcess puts through the suite.
const mutantEnv = "OBJSTORETEST_MUTANT"

// A suite that cannot fail proves nothing: each mutant breaks the contract in
// one way and must be caught by the subtest made for it. The suite runs in a
// process of its own, because a failed subtest fails its parents.
func TestSuiteCatchesMutants(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), exe, "-test.timeout=1m", "-test.run=^TestMutantProcess$/^"+strings.ReplaceAll(m.caughtBy, "/", "$/^")+"$")
			cmd.Env = append(os.Environ(), mutantEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestMutantProcess/"+m.caughtBy) || strings.Contains(string(out), "panic:") {
				t.Errorf("%s does not catch it (%v):\n%s", m.caughtBy, err, out)
			}
		})
	}
}

func TestMutantProcess(t *testing.T) {
	m, ok := mutants[os.Getenv(mutantEnv)]
	if !ok {
		t.Skip("run by TestSuiteCatchesMutants")
	}
	open := func(*testing.T) objstore.Bucket {
		b := &mutant{Bucket: mem.New("bucket")}
		m.breakIt(b)
		return b
	}
	objstoretest.TestBucket(t, open, objstoretest.Missing(open))
}

// mutant is a bucket some of whose methods are replaced.
type mutant struct {
	objstore.Bucket
	list       func(context.Context, objstore.ListOptions) iter.Seq2[objstore.Page, error]
	stat       func(context.Context, string) (objstore.Info, error)
	open       func(context.Context, string, objstore.OpenOptions) (*objstore.Content, error)
	put        func(context.Context, string, io.Reader, int64, objstore.PutOptions) (objstore.Written, error)
	complete   func(context.Context, string, string, []objstore.Part, objstore.CompleteOptions) (objstore.Written, error)
	listParts  func(context.Context, string, string) ([]objstore.Part, error)
	abort      func(context.Context, string, string) error
	copy       func(context.Context, string, objstore.CopySource, objstore.PutOptions) (objstore.Written, error)
	delete     func(context.Context, string, objstore.DeleteOptions) error
	deleteMany func(context.Context, []string) ([]error, error)
	caps       func(*objstore.Capabilities)
}

func (m *mutant) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	if m.list != nil {
		return m.list(ctx, opt)
	}
	return m.Bucket.List(ctx, opt)
}

func (m *mutant) Stat(ctx context.Context, key string) (objstore.Info, error) {
	if m.stat != nil {
		return m.stat(ctx, key)
	}
	return m.Bucket.Stat(ctx, key)
}

func (m *mutant) Open(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
	if m.open != nil {
		return m.open(ctx, key, opt)
	}
	return m.Bucket.Open(ctx, key, opt)
}

func (m *mutant) Put(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
	if m.put != nil {
		return m.put(ctx, key, body, size, opt)
	}
	return m.Bucket.Put(ctx, key, body, size, opt)
}

func (m *mutant) CompleteMultipart(ctx context.Context, key, id string, parts []objstore.Part, opt objstore.CompleteOptions) (objstore.Written, error) {
	if m.complete != nil {
		return m.complete(ctx, key, id, parts, opt)
	}
	return m.Bucket.CompleteMultipart(ctx, key, id, parts, opt)
}

func (m *mutant) ListParts(ctx context.Context, key, id string) ([]objstore.Part, error) {
	if m.listParts != nil {
		return m.listParts(ctx, key, id)
	}
	return m.Bucket.ListParts(ctx, key, id)
}

func (m *mutant) AbortMultipart(ctx context.Context, key, id string) error {
	if m.abort != nil {
		return m.abort(ctx, key, id)
	}
	return m.Bucket.AbortMultipart(ctx, key, id)
}

func (m *mutant) Copy(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
	if m.copy != nil {
		return m.copy(ctx, key, src, opt)
	}
	return m.Bucket.Copy(ctx, key, src, opt)
}

func (m *mutant) Delete(ctx context.Context, key string, opt objstore.DeleteOptions) error {
	if m.delete != nil {
		return m.delete(ctx, key, opt)
	}
	return m.Bucket.Delete(ctx, key, opt)
}

func (m *mutant) DeleteMany(ctx context.Context, keys []string) ([]error, error) {
	if m.deleteMany != nil {
		return m.deleteMany(ctx, keys)
	}
	return m.Bucket.DeleteMany(ctx, keys)
}

func (m *mutant) Capabilities() objstore.Capabilities {
	c := m.Bucket.Capabilities()
	if m.caps != nil {
		m.caps(&c)
	}
	return c
}

// eachPage replaces the listing by one whose pages pass through edit.
func (m *mutant) eachPage(edit func(*objstore.Page)) {
	m.list = func(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
		return func(yield func(objstore.Page, error) bool) {
			for page, err := range m.Bucket.List(ctx, opt) {
				edit(&page)
				if !yield(page, err) {
					return
				}
			}
		}
	}
}

// editPut changes what Put is asked for.
func (m *mutant) editPut(edit func(key *string, opt *objstore.PutOptions)) {
	m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
		edit(&key, &opt)
		return m.Bucket.Put(ctx, key, body, size, opt)
	}
}

// sortBySegment sorts as a walk of directories does: "a/b" before "a.txt".
func sortBySegment(p *objstore.Page) {
	slices.SortFunc(p.Objects, func(a, b objstore.Object) int {
		return slices.Compare(strings.Split(a.Key, "/"), strings.Split(b.Key, "/"))
	})
}
