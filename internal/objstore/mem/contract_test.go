package mem_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest"
)

// opener returns buckets of one service, as a server would.
func opener(opts ...mem.Option) func(*testing.T) objstore.Bucket {
	service, n := mem.NewService(), new(atomic.Int32)
	return func(*testing.T) objstore.Bucket { return service.Bucket(fmt.Sprint("bucket", n.Add(1)), opts...) }
}

func removed(t *testing.T) objstore.Bucket {
	b := mem.New("removed")
	b.Remove()
	return b
}

func TestContract(t *testing.T) {
	t.Parallel()
	objstoretest.TestBucket(t, opener(), objstoretest.Missing(removed))
}

// A store without the capabilities that are optional.
func TestContractPoor(t *testing.T) {
	t.Parallel()
	objstoretest.TestBucket(t, opener(mem.WithCapabilities(func(c *objstore.Capabilities) {
		*c = objstore.Capabilities{Provider: "poor"}
	})))
}

// A store with conditions for new keys alone, and small limits.
func TestContractAbsent(t *testing.T) {
	t.Parallel()
	objstoretest.TestBucket(t, opener(mem.WithCapabilities(func(c *objstore.Capabilities) {
		c.Conditional, c.ChecksumPut, c.ChecksumComplete = objstore.ConditionalAbsent, false, false
		c.DeleteMany, c.MaxKey, c.MinPart, c.NonUTF8Keys, c.PartLayout = 7, 200, 1, false, false
	})))
}
