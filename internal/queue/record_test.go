package queue

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/plan"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	for _, k := range []Known{
		{},
		{Verb: plan.Copy, Rule: 300, Src: Side{Listed: true, Size: 1 << 40, ETag: "\"a\xff\"", ModTime: time.Unix(1, 2).UTC()}},
		{Verb: plan.Delete, Src: Side{Listed: true, Absent: true}, Dst: Side{Listed: true}},
		{Otherwise: "a+b\xff"},
		{Dst: Side{Listed: true, ModTime: time.Unix(-5, 0).UTC()}},
	} {
		got, err := ParseKnown(k.Append(nil))
		if err != nil || got != k {
			t.Errorf("%+v became %+v, %v", k, got, err)
		}
	}
	if b := (Known{}).Append(nil); b != nil {
		t.Errorf("nothing is stored as %v", b)
	}
}

func FuzzParseKnown(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 1, 0, 0, 0})
	f.Add([]byte{2, 'k'})
	f.Add(Known{Verb: plan.Copy, Src: Side{Listed: true, Size: 9, ETag: "e", ModTime: time.Unix(1e9, 0)}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKnown(b)
		if err != nil {
			return
		}
		if again, err := ParseKnown(k.Append(nil)); err != nil || again != k {
			t.Fatalf("%+v became %+v, %v", k, again, err)
		}
	})
}

func TestWake(t *testing.T) {
	t.Parallel()
	var w Wake
	w.Notify(LaneID{Shard: 9}) // nobody listens
	a, b := w.Subscribe(), w.Subscribe()
	w.Notify(LaneID{Shard: 1}, LaneID{Shard: 2})
	w.Notify(LaneID{Shard: 2})
	<-a.C()
	if got := a.Take(); len(got) != 2 {
		t.Fatalf("took %v", got)
	}
	select {
	case <-a.C():
		t.Fatal("woken twice for the same lanes")
	default:
	}
	b.Close()
	b.Take()
	w.Notify(LaneID{Shard: 3})
	if got := b.Take(); len(got) != 0 {
		t.Fatalf("woken after the end: %v", got)
	}
	if got := a.Take(); len(got) != 1 || got[0].Shard != 3 {
		t.Fatalf("took %v", got)
	}
}
