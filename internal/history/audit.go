package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// AuditEntry is one link of the audit chain: who asked for or changed what.
type AuditEntry struct {
	Num     int64 // from 1, without gaps
	At      time.Time
	Actor   task.Actor
	Project task.ProjectID
	Action  string          // noun.verb, e.g. task.create
	Subject string          // the id of what was changed
	Detail  json.RawMessage // what was changed to; no secrets
	Prev    [32]byte        // Hash of the entry before; zero for the first
	Hash    [32]byte
}

// Seal returns the SHA-256 that binds e to Prev: of Prev, then each field with its
// length before it, in the order of the struct. Times count in microseconds.
func (e AuditEntry) Seal() ([32]byte, error) {
	actor, err := json.Marshal(e.Actor)
	if err != nil {
		return [32]byte{}, err
	}
	b := make([]byte, 0, 512)
	b = append(b, e.Prev[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Num))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMicro()))
	for _, f := range [...][]byte{actor, []byte(e.Project), []byte(e.Action), []byte(e.Subject), e.Detail} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return sha256.Sum256(b), nil
}
