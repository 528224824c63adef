package queue

import "sync"

// Wake tells lanes of this process that keys were accepted for them. It loses
// nothing but duplicates; what other nodes accept comes from the database, and a
// slow sweep is the net below both. The zero value is ready.
type Wake struct {
	mu   sync.Mutex
	subs map[*Wakeup]struct{}
}

// Wakeup is one subscription.
type Wakeup struct {
	hub  *Wake
	c    chan struct{}
	mu   sync.Mutex
	want map[LaneID]struct{}
}

// Subscribe begins to collect notifications. Close ends it.
func (w *Wake) Subscribe() *Wakeup {
	s := &Wakeup{hub: w, c: make(chan struct{}, 1), want: map[LaneID]struct{}{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.subs == nil {
		w.subs = map[*Wakeup]struct{}{}
	}
	w.subs[s] = struct{}{}
	return s
}

// Notify says that lanes have keys that may be due.
func (w *Wake) Notify(lanes ...LaneID) {
	if len(lanes) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for s := range w.subs {
		s.add(lanes)
	}
}

func (s *Wakeup) add(lanes []LaneID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range lanes {
		s.want[l] = struct{}{}
	}
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// C is readable when lanes wait to be taken.
func (s *Wakeup) C() <-chan struct{} { return s.c }

// Take returns the lanes notified since the last call, in no order.
func (s *Wakeup) Take() []LaneID {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes := make([]LaneID, 0, len(s.want))
	for l := range s.want {
		lanes = append(lanes, l)
	}
	clear(s.want)
	return lanes
}

// Close ends the subscription.
func (s *Wakeup) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s)
}
