package db

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// change runs f like write, with the head of the audit chain locked: changes happen
// one after the other, on all nodes.
func (s *Store) change(ctx context.Context, f func(context.Context, *txn) error) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		var num int64
		if err := one(ctx, t, "SELECT num FROM audit_head WHERE one = 1"+s.eng.lock("FOR UPDATE"), nil, &num); err != nil {
			return err
		}
		return f(ctx, t)
	})
}

// audit appends an entry to the chain, within a transaction of change.
func (t *txn) audit(ctx context.Context, by task.Actor, project task.ProjectID, action, subject string, detail any) error {
	e := history.AuditEntry{At: t.s.now(), Actor: by, Project: project, Action: action, Subject: subject}
	var prev []byte
	if err := one(ctx, t, "SELECT num, hash FROM audit_head WHERE one = 1", nil, &e.Num, &prev); err != nil {
		return err
	}
	e.Num++
	copy(e.Prev[:], prev)
	actor, err := json.Marshal(by)
	if err != nil {
		return err
	}
	if e.Detail, err = json.Marshal(detail); err != nil {
		return err
	}
	if e.Hash, err = e.Seal(); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `INSERT INTO audit (num, at, actor, project, action, subject, detail, prev, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, e.Num, micros(e.At), actor, string(project), action, subject,
		[]byte(e.Detail), e.Prev[:], e.Hash[:]); err != nil {
		return err
	}
	_, err = t.exec(ctx, "UPDATE audit_head SET num = $1, hash = $2 WHERE one = 1", e.Num, e.Hash[:])
	return err
}

// Audit returns up to limit entries of a project below before, newest first; before 0
// begins at the end, and an empty project is all of them.
func (s *Store) Audit(ctx context.Context, project task.ProjectID, before int64, limit int) (out []history.AuditEntry, err error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		sql, args := auditColumns+" WHERE num < $1 ORDER BY num DESC LIMIT $2", []any{before, limit}
		if project != "" {
			sql, args = auditColumns+" WHERE project = $3 AND num < $1 ORDER BY num DESC LIMIT $2", append(args, string(project))
		}
		return each(ctx, t, sql, args, func(r rows) error {
			e, err := scanAudit(r)
			out = append(out, e)
			return err
		})
	})
	return out, err
}

const auditColumns = "SELECT num, at, actor, project, action, subject, detail, prev, hash FROM audit"

func scanAudit(r rows) (e history.AuditEntry, err error) {
	var at int64
	var actor, detail, prev, hash []byte
	if err := r.Scan(&e.Num, &at, &actor, &e.Project, &e.Action, &e.Subject, &detail, &prev, &hash); err != nil {
		return e, err
	}
	e.At, e.Detail = fromMicros(at), detail
	copy(e.Prev[:], prev)
	copy(e.Hash[:], hash)
	return e, json.Unmarshal(actor, &e.Actor)
}

// VerifyAudit walks the whole chain and returns its length and the first entry that
// does not fit, 0 when all do.
func (s *Store) VerifyAudit(ctx context.Context) (entries, broken int64, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var head int64
		var headHash []byte
		if err := one(ctx, t, "SELECT num, hash FROM audit_head WHERE one = 1", nil, &head, &headHash); err != nil {
			return err
		}
		var prev [32]byte
		if err := each(ctx, t, auditColumns+" ORDER BY num", nil, func(r rows) error {
			if broken != 0 {
				return nil
			}
			e, err := scanAudit(r)
			if err != nil {
				return fmt.Errorf("audit entry %d: %w", entries+1, err)
			}
			entries++
			hash, err := e.Seal()
			if e.Num != entries || e.Prev != prev || hash != e.Hash || err != nil {
				broken = entries
			}
			prev = e.Hash
			return nil
		}); err != nil {
			return err
		}
		if broken == 0 && (entries != head || string(prev[:]) != string(headHash)) {
			broken = entries + 1 // the end is missing
		}
		return nil
	})
	return entries, broken, err
}
