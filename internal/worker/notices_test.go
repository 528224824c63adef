package worker_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// mailbag holds one notice until it is ended.
type mailbag struct {
	mu     sync.Mutex
	notice *queue.Notice
	delays []time.Duration
	why    []string
	ended  chan struct{}
}

func (b *mailbag) ClaimNotices(context.Context, int, time.Duration) ([]queue.Notice, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.notice == nil {
		return nil, nil
	}
	n := *b.notice
	b.notice = nil
	return []queue.Notice{n}, nil
}

func (b *mailbag) EndNotice(_ context.Context, _ queue.Notice, why string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.why = append(b.why, why)
	close(b.ended)
	return nil
}

func (b *mailbag) DelayNotice(_ context.Context, n queue.Notice, after time.Duration, why string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	n.Attempts++
	b.notice, b.delays, b.why = &n, append(b.delays, after), append(b.why, why)
	return nil
}

// TestNotices: what a receiver refuses, or answers elsewhere, comes again, later each time,
// signed so that it can see who sent it.
func TestNotices(t *testing.T) {
	t.Parallel()
	key := []byte("the key")
	body := `{"event":"job.failed"}`
	var mu sync.Mutex
	var bad []string
	requests := 0
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		text, _ := io.ReadAll(r.Body)
		var at, mac string
		for part := range strings.SplitSeq(r.Header.Get("Lockstep-Signature"), ",") {
			switch name, value, _ := strings.Cut(part, "="); name {
			case "t":
				at = value
			case "v1":
				mac = value
			}
		}
		sent, err := time.Parse("20060102", "19700101")
		if seconds, e := time.ParseDuration(at + "s"); e == nil {
			sent = sent.Add(seconds)
		}
		if err != nil || time.Since(sent) > time.Minute || worker.SignNotice(key, sent, text) != "t="+at+",v1="+mac ||
			string(text) != body || r.Header.Get("Lockstep-Event") != "job.failed" || r.Header.Get("Lockstep-Delivery") != "7" {
			bad = append(bad, r.Header.Get("Lockstep-Signature")+" "+string(text))
		}
		switch requests++; requests {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	t.Cleanup(receiver.Close)
	bag := &mailbag{ended: make(chan struct{}), notice: &queue.Notice{
		Num: 7, To: task.Notification{ID: "n", URL: receiver.URL + "/secret-path"}, Event: task.NoticeJobFailed, Body: []byte(body), MadeAt: time.Now(),
	}}
	run(t, worker.NoticesConfig{Queue: bag, Sweep: time.Millisecond, Retry: time.Second, Open: func(task.Notification) ([]byte, error) { return key, nil }})
	<-bag.ended
	mu.Lock()
	defer mu.Unlock()
	if requests != 3 || len(bad) > 0 {
		t.Errorf("%d requests, wrong: %q", requests, bad)
	}
	if got := strings.Join(bag.why, "; "); got != "the receiver answers 500; the receiver answers 302; " {
		t.Errorf("reasons %q", got)
	}
	if len(bag.delays) != 2 || bag.delays[0] > 2*time.Second || bag.delays[1] <= bag.delays[0]/2 {
		t.Errorf("delays %v", bag.delays)
	}
}

// A notice that is too old is given up, and its reason does not tell the address.
func TestNoticesGiveUp(t *testing.T) {
	t.Parallel()
	bag := &mailbag{ended: make(chan struct{}), notice: &queue.Notice{
		To: task.Notification{ID: "n", URL: "http://127.0.0.1:1/secret-path"}, MadeAt: time.Now().Add(-25 * time.Hour),
	}}
	run(t, worker.NoticesConfig{Queue: bag, Sweep: time.Millisecond, Open: func(task.Notification) ([]byte, error) { return nil, nil }})
	<-bag.ended
	if got := strings.Join(bag.why, ";"); got != "given up: the receiver does not answer" {
		t.Errorf("reasons %q", got)
	}
}

func run(t *testing.T, cfg worker.NoticesConfig) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = worker.NewNotices(cfg).Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// sack hands out its notices once, and writes down how each went.
type sack struct {
	mu      sync.Mutex
	notices []queue.Notice
	went    map[int64]string
	all     chan struct{}
}

func (s *sack) ClaimNotices(context.Context, int, time.Duration) (out []queue.Notice, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, s.notices = s.notices, nil
	return out, nil
}

func (s *sack) note(n queue.Notice, how string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.went[n.Num] = how; len(s.went) == 20 {
		close(s.all)
	}
	return nil
}

func (s *sack) EndNotice(_ context.Context, n queue.Notice, why string) error {
	return s.note(n, "told"+why)
}

func (s *sack) DelayNotice(_ context.Context, n queue.Notice, _ time.Duration, why string) error {
	return s.note(n, why)
}

// A receiver that does not answer is asked once for all its notices, and others need not
// wait for it.
func TestNoticesToADeadReceiver(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	asked := 0
	told := make(chan struct{})
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if order = append(order, r.Header.Get("Lockstep-Delivery")); len(order) == 10 {
			close(told)
		}
	}))
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the client has gone
		select {
		case <-told: // as long as the other has not been told everything
		case <-r.Context().Done():
		}
		mu.Lock()
		asked++
		mu.Unlock()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(well.Close)
	t.Cleanup(dead.Close)
	bag := &sack{went: map[int64]string{}, all: make(chan struct{})}
	for i := range int64(20) {
		to := task.Notification{ID: "dead", URL: dead.URL}
		if i%2 == 1 {
			to = task.Notification{ID: "well", URL: well.URL}
		}
		bag.notices = append(bag.notices, queue.Notice{Num: i, To: to, MadeAt: time.Now()})
	}
	run(t, worker.NoticesConfig{Queue: bag, Open: func(task.Notification) ([]byte, error) { return nil, nil }})
	<-bag.all
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order, " "); got != "1 3 5 7 9 11 13 15 17 19" {
		t.Errorf("told %s", got)
	}
	if asked != 1 {
		t.Errorf("the dead one was asked %d times", asked)
	}
	for n, how := range bag.went {
		if want := []string{"the receiver does not answer", "told"}[n%2]; how != want {
			t.Errorf("notice %d: %q, want %q", n, how, want)
		}
	}
}
