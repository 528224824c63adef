package oms

import (
	"fmt"
	"testing"
	"time"
)

func TestAddressesHaveARateEach(t *testing.T) {
	t.Parallel()
	a := addresses{rate: 10}
	now := time.Unix(1e9, 0)
	took := func(address string) (n int) {
		for a.allow(address, now) {
			n++
		}
		return n
	}
	if n := took("a"); n != 20 {
		t.Fatalf("%d at once", n)
	}
	if n := took("b"); n != 20 {
		t.Fatalf("another address: %d", n)
	}
	now = now.Add(time.Second)
	if n := took("a"); n != 10 {
		t.Fatalf("%d a second later", n)
	}
	now = now.Add(-time.Hour) // a clock that was set back gives nothing, and takes nothing
	if n := took("a"); n != 0 {
		t.Fatalf("%d from an earlier time", n)
	}
	for i := range 100_000 {
		a.allow(fmt.Sprint("10.", i), now)
	}
	if n := len(a.young) + len(a.old); n > 2*maxAddresses {
		t.Fatalf("%d addresses are remembered", n)
	}
	if none := (&addresses{rate: -1}); !none.allow("a", now) {
		t.Fatal("no limit limits")
	}
}
