package oms_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// Under load monthly_acceptance_request = success + failure + skip + pending at every
// read, with pending the rows that wait; afterwards each counter equals the lines of its
// lists.
func TestCountsReconcileAtEveryReadUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 200 {
		w.s3.Put("src", fmt.Sprint("k", i), []byte("data"))
	}
	path := w.newTask("dst")
	id := path[len(p1)+1:]
	const senders = 4
	requests := 50
	if testing.Short() {
		requests = 15
	}
	done := make(chan struct{})
	var sending, reading sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(s)))
			for range requests {
				var keys []string
				for range 10 {
					keys = append(keys, fmt.Sprint("k", r.IntN(220))) // some are not there, some twice
				}
				if a := w.do(w.sender, "POST", path+"/events", objectKeys(keys...)); a.status != 200 {
					w.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	reads := 0
	reading.Go(func() {
		var last month
		for ; ; reads++ {
			select {
			case <-done:
				return
			default:
			}
			m := w.month(path)
			if pending := m.Requested - m.Success - m.Failure - m.Skip; pending < 0 || m.Requested < last.Requested || m.Success < last.Success || m.Requested%10 != 0 {
				w.Errorf("read %d: %+v after %+v", reads, m, last)
			}
			last = m
			// One snapshot of counters, waiting rows and list lines.
			proof, err := w.s.Control().ProveTask(w.Context(), w.s.Admin(), id)
			if err != nil || proof.Broken != "" || proof.Rows.Waiting != proof.Counts.Pending() {
				w.Errorf("read %d: %+v, %v", reads, proof, err)
			}
		}
	})
	sending.Wait()
	m := w.settled(path, int64(senders*requests*10))
	close(done)
	reading.Wait()
	if m.Requested != int64(senders*requests*10) || m.Success == 0 || m.Failure == 0 || m.Skip == 0 || reads < 3 {
		t.Fatalf("%+v after %d reads", m, reads)
	}
	proof, err := w.s.Control().ProveTask(t.Context(), w.s.Admin(), id)
	w.must(err)
	l := proof.Rows.Stored
	up := proof.Rows.Uploaded
	if l.Received+up.Received != m.Requested || l.Synced+up.Synced != m.Success || l.Failed+up.Failed != m.Failure || l.Ignored+up.Ignored != m.Skip {
		t.Fatalf("lists %+v %+v, counted %+v", l, up, m)
	}
}
