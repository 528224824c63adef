package worker

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/faulty"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// asked writes down what a bucket is asked about a key, and may answer wrongly.
type asked struct {
	mu    sync.Mutex
	calls []string
}

func (a *asked) of(side string, b objstore.Bucket, fault func(faulty.Call) faulty.Fault) objstore.Bucket {
	return faulty.New(b, func(c faulty.Call) faulty.Fault {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls = append(a.calls, fmt.Sprintf("%s %s", side, c.Op))
		if fault == nil {
			return faulty.Fault{}
		}
		return fault(c)
	})
}

// An event of a key that the destination does not hold costs three requests: the source is
// opened instead of looked at. Where its size or age matters first, it is looked at.
func TestEventsOpenWhatIsToBeCopied(t *testing.T) {
	t.Parallel()
	torn := func(c faulty.Call) faulty.Fault {
		if c.Op == faulty.Open && c.Nth == 1 {
			return faulty.Fault{Kind: faulty.Torn, Bytes: 3}
		}
		return faulty.Fault{}
	}
	for name, c := range map[string]struct {
		opt   task.Options
		there string
		fault func(faulty.Call) faulty.Fault
		want  string
		ends  task.Reason
	}{
		"absent":               {want: "dst stat, src open, dst put", ends: task.Copied},
		"absent, always":       {opt: task.Options{Compare: "always"}, want: "dst stat, src open, dst put", ends: task.Copied},
		"torn":                 {fault: torn, want: "dst stat, src open, src open, dst put", ends: task.Copied},
		"there":                {there: "old", want: "dst stat, src stat, src open, dst put", ends: task.Copied},
		"there and the same":   {there: "text", want: "dst stat, src stat", ends: task.UpToDate},
		"a rule of names":      {opt: task.Options{Filter: []string{"include name:*.txt"}}, want: "dst stat, src open, dst put", ends: task.Copied},
		"excluded by its name": {opt: task.Options{Filter: []string{"exclude name:*.txt"}}, want: "dst stat, src stat", ends: task.Excluded},
		"a rule of sizes":      {opt: task.Options{Filter: []string{"exclude size>1M"}}, want: "dst stat, src stat, src open, dst put", ends: task.Copied},
		"excluded by its size": {opt: task.Options{Filter: []string{"exclude size<1M"}}, want: "dst stat, src stat", ends: task.Excluded},
	} {
		s := newService(t, c.opt)
		s.put(s.src, "a.txt", "text")
		if c.there != "" {
			s.put(s.dst, "a.txt", c.there)
		}
		var log asked
		s.stores.use(log.of("src", s.src, c.fault), log.of("dst", s.dst, nil))
		s.lanes(nil)
		r := s.event("a.txt")
		s.settled()
		s.wantReasons(r.Job, map[task.Reason]int64{c.ends: 1})
		log.mu.Lock()
		calls := slices.DeleteFunc(log.calls, func(call string) bool { return strings.HasSuffix(call, "probe") })
		log.mu.Unlock()
		if got := strings.Join(calls, ", "); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
		if text, _ := s.text(s.dst, "a.txt"); c.ends == task.Copied && text != "text" {
			t.Errorf("%s: the destination holds %q", name, text)
		}
	}
}

// What is too large for one piece is read in parts after all.
func TestEventsOfLargeObjects(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 40<<20/16)
	s := newService(t, task.Options{})
	s.put(s.src, "large", large)
	var log asked
	s.stores.use(log.of("src", s.src, nil), log.of("dst", s.dst, nil))
	s.lanes(nil)
	s.event("large")
	s.settled()
	if text, _ := s.text(s.dst, "large"); text != large {
		t.Errorf("the destination holds %d bytes", len(text))
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if got := strings.Join(log.calls, ", "); !strings.HasPrefix(got, "dst stat, src open, src open, dst create-multipart") {
		t.Errorf("asked %s", got)
	}
}
