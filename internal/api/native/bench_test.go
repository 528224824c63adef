package native_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api/native"
)

// BenchmarkAccept is durable accept over HTTP: 64 posters of 10 keys each. An op is one
// request; keys/s is what counts.
func BenchmarkAccept(b *testing.B) {
	w := newWorld(b)
	k := w.addTask("bench")
	const posters, keys = 64, 10
	url := w.url + native.Root + "/tasks/" + string(k.ID) + "/events"
	var next, failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for range posters {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				var body strings.Builder
				body.WriteString(`{"keys":[`)
				for i := range keys {
					if i > 0 {
						body.WriteByte(',')
					}
					fmt.Fprintf(&body, `"photos/2026/03/IMG_%09d.jpg"`, n*keys+int64(i))
				}
				body.WriteString(`]}`)
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body.String()))
				if err != nil {
					failed.Add(1)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				req.SetBasicAuth(w.sender.id, w.sender.secret)
				resp, err := httpClient.Do(req)
				if err != nil {
					failed.Add(1)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusAccepted {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if failed.Load() > 0 {
		b.Fatalf("%d requests failed", failed.Load())
	}
	b.ReportMetric(float64(b.N*keys)/time.Since(start).Seconds(), "keys/s")
}
