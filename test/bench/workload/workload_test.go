package workload

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// Figures can be compared over time and between machines only while the data
// stays the same: a change here is a change of the benchmark.
func TestDataIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for data, want := range map[Data]struct {
		count int
		bytes int64
		sum   string
	}{
		Small: {20_000, 81_920_000, "292e101c16e49b6c"},
		Tiny:  {100_000, 102_400_000, "90aa50abeb1273b3"},
		Big:   {8, 2_147_483_648, "165a3e91a6f7d293"},
		Mixed: {5_000, 2_600_479_552, "1fa3e04b7d382172"},
	} {
		objects, err := data.Objects(1)
		if err != nil {
			t.Fatal(err)
		}
		var bytes int64
		sum := sha256.New()
		for _, o := range objects {
			bytes += o.Size
			fmt.Fprintln(sum, o.Key, o.Size, o.Seed)
		}
		if got := hex.EncodeToString(sum.Sum(nil)[:8]); len(objects) != want.count || bytes != want.bytes || got != want.sum {
			t.Errorf("%s: %d objects, %d bytes, %s", data, len(objects), bytes, got)
		}
	}
}

func TestStreamIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	// 4 KiB; two blocks and a rest that is too short for a stamp; seeds tell contents apart.
	for _, c := range []struct {
		size int64
		seed uint64
		sum  string
	}{
		{4 << 10, 0, "fbe8c75923973c50"},
		{4 << 10, 1, "7bad8d5c3d92ba43"},
		{128<<10 + 5, 1, "5037ee14ac842fec"},
	} {
		whole, err := io.ReadAll(NewStream(c.size, c.seed))
		if err != nil || int64(len(whole)) != c.size {
			t.Fatalf("%d bytes of %d, %v", len(whole), c.size, err)
		}
		sum := sha256.Sum256(whole)
		if got := hex.EncodeToString(sum[:8]); got != c.sum {
			t.Errorf("size %d, seed %d: %s", c.size, c.seed, got)
		}
		byByte, err := io.ReadAll(iotest.OneByteReader(NewStream(c.size, c.seed)))
		if err != nil || string(byByte) != string(whole) {
			t.Errorf("size %d, seed %d: content depends on how it is read (%v)", c.size, c.seed, err)
		}
	}
}

func TestScaleTakesTheFirstObjects(t *testing.T) {
	t.Parallel()
	for _, data := range []Data{Small, Tiny, Big, Mixed} {
		all, err := data.Objects(1)
		if err != nil {
			t.Fatal(err)
		}
		few, err := data.Objects(.001)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(1, len(all)/1000); len(few) != want {
			t.Errorf("%s: %d objects, want %d", data, len(few), want)
		}
		if diff := cmp.Diff(all[:len(few)], few); diff != "" {
			t.Errorf("%s (-first +scaled):\n%s", data, diff)
		}
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	chosen, err := Select("same,W1")
	if err != nil || len(chosen) != 2 || chosen[0].Name != "W1" || chosen[1].Name != "same" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := Select("W1,W9"); err == nil {
		t.Error("an unknown workload is selected")
	}
}
