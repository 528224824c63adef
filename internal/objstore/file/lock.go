package file

import (
	"hash/maphash"
	"strings"
	"sync"
)

// keyLocks order the commits to one key among all buckets of the process: a
// condition is checked and the name is changed under the lock of the key. Keys
// share locks by hash; a lock is held for a few system calls only.
var (
	keyLocks [512]sync.Mutex
	lockSeed = maphash.MakeSeed()
)

// lockKey locks a key and returns what unlocks it.
func (b *Bucket) lockKey(key string) *sync.Mutex {
	var h maphash.Hash
	h.SetSeed(lockSeed)
	_, _ = h.WriteString(b.path)
	_ = h.WriteByte(0)
	if b.caseless.Load() {
		key = strings.ToLower(key)
	}
	_, _ = h.WriteString(key)
	mu := &keyLocks[h.Sum64()%uint64(len(keyLocks))]
	mu.Lock()
	return mu
}
