package limit

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/test/bench/bare"
	"github.com/lockstep-sync/lockstep/test/bench/memserver"
	"github.com/lockstep-sync/lockstep/test/bench/verify"
	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

func newClient(t *testing.T, h http.Handler) *bare.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := bare.New(bare.Config{Endpoint: server.URL, Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// newJob has a source of 30 objects, some larger than what is read whole.
func newJob(t *testing.T, dst http.Handler) Job {
	t.Helper()
	job := Job{
		Src: newClient(t, memserver.New(memserver.Config{})), Dst: newClient(t, dst),
		SrcBucket: "src", DstBucket: "dst", Concurrency: 4,
	}
	var objects []workload.Object
	for i, key := range strings.Fields("a b c d e f g h i j") {
		for j, size := range []int64{1, wholeSize, wholeSize + 1} {
			objects = append(objects, workload.Object{Key: key + "/" + strings.Repeat("x", j), Size: size, Seed: uint64(i)})
		}
	}
	if err := workload.Fill(t.Context(), job.Src, job.SrcBucket, objects, 4); err != nil {
		t.Fatal(err)
	}
	if err := job.Dst.CreateBucket(t.Context(), job.DstBucket); err != nil {
		t.Fatal(err)
	}
	return job
}

func (j Job) verify(t *testing.T) {
	t.Helper()
	_, err := verify.Equal(t.Context(), verify.Bucket{Client: j.Src, Name: j.SrcBucket}, verify.Bucket{Client: j.Dst, Name: j.DstBucket}, true)
	if err != nil {
		t.Error(err)
	}
}

func (j Job) run(t *testing.T, want Result) {
	t.Helper()
	got, err := Run(t.Context(), j)
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	job := newJob(t, memserver.New(memserver.Config{}))
	first := job
	first.NoDstList = true
	first.run(t, Result{Listed: 30, Copied: 30})
	job.verify(t)

	compare := job
	compare.ListOnly = true
	compare.run(t, Result{Listed: 30})

	if _, err := job.Src.Put(t.Context(), job.SrcBucket, "b/", bytes.NewReader([]byte("!")), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), compare); err == nil {
		t.Error("a list-only run passes although an object differs")
	}
	job.run(t, Result{Listed: 30, Copied: 1})
	job.verify(t)
}

func TestServerSide(t *testing.T) {
	t.Parallel()
	job := newJob(t, memserver.New(memserver.Config{}))
	job.Dst, job.ServerSide, job.NoDstList = job.Src, true, true
	if err := job.Dst.CreateBucket(t.Context(), job.DstBucket); err != nil {
		t.Fatal(err)
	}
	job.run(t, Result{Listed: 30, Copied: 30})
	job.verify(t)
}

// corrupting flips a bit of every object it is given.
type corrupting struct{ http.Handler }

func (c corrupting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > 0 {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		body[0] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	c.Handler.ServeHTTP(w, r)
}

func TestCorruptionIsFound(t *testing.T) {
	t.Parallel()
	job := newJob(t, corrupting{memserver.New(memserver.Config{})})
	job.NoDstList = true
	if _, err := Run(t.Context(), job); err == nil || !strings.Contains(err.Error(), "ETag") {
		t.Errorf("error %v, want one about an ETag", err)
	}
}
