package file

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// flat makes n empty files in one directory, in an order that is not theirs.
func flat(b testing.TB, dir string, n int) {
	b.Helper()
	for i := range n {
		name := fmt.Sprintf("object-%08d.dat", (i*7919)%n)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// count lists a bucket.
func count(b testing.TB, bucket *Bucket) (n int) {
	b.Helper()
	last := ""
	for page, err := range bucket.List(b.Context(), objstore.ListOptions{}) {
		if err != nil {
			b.Fatal(err)
		}
		n += len(page.Objects)
		if first := page.Objects[0].Key; first <= last {
			b.Fatalf("%q after %q", first, last)
		}
		last = string([]byte(page.Objects[len(page.Objects)-1].Key))
	}
	return n
}

// BenchmarkListFlat lists 100,000 files in one directory; an operation is one
// listing, the metrics are per object.
func BenchmarkListFlat(b *testing.B) {
	const objects = 100_000
	dir := b.TempDir()
	flat(b, dir, objects)
	bucket := openDir(b, dir, Options{})
	for name, limits := range map[string]sortLimits{
		"memory":  {names: 1 << 20, bytes: 64 << 20, fanIn: 64, buffer: 16 << 10},
		"spilled": defaultSortLimits,
	} {
		b.Run(name, func(b *testing.B) {
			bucket.sort = limits
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				if n := count(b, bucket); n != objects {
					b.Fatalf("%d objects listed", n)
				}
			}
			per := float64(b.N) * objects
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/per, "cpu-ns/object")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/per, "ns/object")
		})
	}
}

// BenchmarkPut stores objects of 4 KiB under new keys, one after the other and
// 16 at a time.
func BenchmarkPut(b *testing.B) {
	data := make([]byte, 4096)
	for name, opt := range map[string]Options{"sync": {}, "nosync": {NoSync: true}} {
		for _, writers := range []int{1, 16} {
			b.Run(name+"/writers="+strconv.Itoa(writers), func(b *testing.B) {
				bucket := openDir(b, b.TempDir(), opt)
				var n atomic.Int64
				b.ReportAllocs()
				b.SetParallelism(writers)
				start := cpuTime()
				put := func() {
					i := n.Add(1)
					key := "dir" + strconv.FormatInt(i%10, 10) + "/object-" + strconv.FormatInt(i, 10)
					if _, err := bucket.Put(b.Context(), key, bytes.NewReader(data), 4096, objstore.PutOptions{}); err != nil {
						b.Error(err)
					}
				}
				if writers == 1 {
					for b.Loop() {
						put()
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							put()
						}
					})
				}
				b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// BenchmarkRead opens and reads objects of 4 KiB.
func BenchmarkRead(b *testing.B) {
	bucket := openDir(b, b.TempDir(), Options{NoSync: true})
	if _, err := bucket.Put(b.Context(), "dir/key", bytes.NewReader(make([]byte, 4096)), 4096, objstore.PutOptions{}); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 8192)
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		c, err := bucket.Open(b.Context(), "dir/key", objstore.OpenOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if n, _ := c.Body.Read(buf); n != 4096 {
			b.Fatalf("%d bytes", n)
		}
		if err := c.Body.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
