package objstore_test

import (
	"math/rand/v2"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// The check value of CRC-64/NVME over "123456789" in the CRC catalogue.
func TestCRC64CheckValue(t *testing.T) {
	t.Parallel()
	if got := objstore.UpdateCRC64(0, []byte("123456789")); got != 0xae8b14860a799888 {
		t.Fatalf("CRC64NVME of 123456789 = %x", got)
	}
}

func TestCombineCRC64(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		p := make([]byte, r.IntN(5000))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		cut := 0
		if len(p) > 0 {
			cut = r.IntN(len(p) + 1)
		}
		a, b := objstore.UpdateCRC64(0, p[:cut]), objstore.UpdateCRC64(0, p[cut:])
		if got, want := objstore.CombineCRC64(a, b, int64(len(p)-cut)), objstore.UpdateCRC64(0, p); got != want {
			t.Fatalf("combine of %d+%d bytes = %x, want %x", cut, len(p)-cut, got, want)
		}
	}
}
