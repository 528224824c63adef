package db

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// maxFileLines closes a file: OMS's failed lists end there too.
const maxFileLines = 100_000

// SealLists implements queue.Outbox.
func (s *Store) SealLists(ctx context.Context, age time.Duration, minLines int64) (sealed int, err error) {
	type list struct {
		job   int64
		kind  queue.ListKind
		lines int64
	}
	var due []list
	before := s.now().Add(-age).UnixMicro()
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, `SELECT o.job, o.kind, CAST(sum(o.lines) AS BIGINT) FROM outbox o WHERE o.file = 0 GROUP BY o.job, o.kind
			HAVING sum(o.lines) >= $1 OR min(o.at) <= $2 OR (SELECT j.ended_at FROM jobs j WHERE j.num = o.job) <> 0
			ORDER BY o.job, o.kind`, []any{minLines, before}, func(r rows) error {
			var l list
			err := r.Scan(&l.job, &l.kind, &l.lines)
			due = append(due, l)
			return err
		})
	})
	for _, l := range due {
		for left := l.lines; left > 0 && err == nil; {
			var took int64
			err = s.write(ctx, func(ctx context.Context, t *txn) (err error) {
				took, err = sealFile(ctx, t, l.job, l.kind)
				return err
			})
			if took == 0 {
				break
			}
			left -= took
			sealed++
		}
	}
	return sealed, err
}

// sealFile makes one file of the oldest rows of a list.
func sealFile(ctx context.Context, t *txn, job int64, kind queue.ListKind) (took int64, err error) {
	var taskNum, last int64
	if err := one(ctx, t, "SELECT task FROM jobs WHERE num = $1"+t.e.lock("FOR NO KEY UPDATE"), []any{job}, &taskNum); err != nil {
		return 0, err
	}
	var lines int64
	if err := each(ctx, t, "SELECT num, lines FROM outbox WHERE file = 0 AND job = $1 AND kind = $2 ORDER BY num", []any{job, kind},
		func(r rows) error {
			var num, n int64
			err := r.Scan(&num, &n)
			if lines < maxFileLines {
				last = num
				lines += n
			}
			return err
		}); err != nil || last == 0 {
		return 0, err
	}
	at := t.s.now().Truncate(time.Millisecond).UnixMicro()
	var file int64
	// No two files of a list have the same time, which their names come from.
	if err := one(ctx, t, `INSERT INTO list_files (task, job, kind, sealed_at, lines) VALUES ($1, $2, $3,
		(SELECT CAST(CASE WHEN coalesce(max(sealed_at), 0) >= $4 THEN max(sealed_at) + 1000 ELSE $4 END AS BIGINT) FROM list_files WHERE job = $2 AND kind = $3),
		0) RETURNING num`, []any{taskNum, job, kind, at}, &file); err != nil {
		return 0, err
	}
	// Rows that were committed meanwhile may be among these: what was changed counts.
	if err := each(ctx, t, "UPDATE outbox SET file = $1 WHERE file = 0 AND job = $2 AND kind = $3 AND num <= $4 RETURNING lines",
		[]any{file, job, kind, last}, func(r rows) error {
			var n int64
			err := r.Scan(&n)
			took += n
			return err
		}); err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, "UPDATE list_files SET lines = $1 WHERE num = $2", took, file)
	return took, err
}

const (
	fileColumns = "f.num, k.id, j.id, j.started_at, f.kind, f.sealed_at, f.lines"
	fileTables  = " FROM list_files f JOIN jobs j ON j.num = f.job JOIN tasks k ON k.num = f.task "
)

func scanFile(r rows, more ...any) (f queue.ListFile, err error) {
	var started, sealed int64
	err = r.Scan(append([]any{&f.Num, &f.Task, &f.Job, &started, &f.Kind, &sealed, &f.Lines}, more...)...)
	f.JobStart, f.SealedAt = fromMicros(started), fromMicros(sealed)
	return f, err
}

// SealedLists implements queue.Outbox.
func (s *Store) SealedLists(ctx context.Context, limit int, but ...task.ID) (out []queue.ListFile, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		others, args := notOf("k.id", 2, but)
		return each(ctx, t, "SELECT "+fileColumns+fileTables+"WHERE f.uploaded_at = 0"+others+" ORDER BY f.num LIMIT $1", append([]any{limit}, args...), func(r rows) error {
			f, err := scanFile(r)
			out = append(out, f)
			return err
		})
	})
	return out, err
}

// notOf leaves some tasks out of a query whose parameters from $first on are theirs.
func notOf(column string, first int, ids []task.ID) (clause string, args []any) {
	if len(ids) == 0 {
		return "", nil
	}
	list, args := inList(first, ids)
	for i := range args {
		args[i] = string(args[i].(task.ID))
	}
	return " AND " + column + " NOT IN (" + list + ")", args
}

// ListText implements queue.Outbox. A sealed file does not change, so that no snapshot
// is held while it is uploaded.
func (s *Store) ListText(ctx context.Context, f queue.ListFile) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var after, lines int64
		for {
			data, num, err := s.listRow(ctx, f.Num, after)
			if errors.Is(err, errNoRow) {
				break
			}
			if err != nil {
				yield(nil, err)
				return
			}
			after = num
			lines += countLines(data)
			if !yield(data, nil) {
				return
			}
		}
		if lines != f.Lines {
			yield(nil, fmt.Errorf("list file %d has %d lines, %d were sealed", f.Num, lines, f.Lines))
		}
	}
}

func (s *Store) listRow(ctx context.Context, file, after int64) (data []byte, num int64, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var stored []byte
		if err := one(ctx, t, "SELECT num, data FROM outbox WHERE file = $1 AND file <> 0 AND num > $2 ORDER BY num LIMIT 1",
			[]any{file, after}, &num, &stored); err != nil {
			return err
		}
		data, err = unpack(stored)
		return err
	})
	return data, num, err
}

// ConfirmList implements queue.Outbox. It may be repeated.
func (s *Store) ConfirmList(ctx context.Context, f queue.ListFile, o queue.ListObject) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "UPDATE list_files SET uploaded_at = $1, name = $2, bytes = $3, sha256 = $4 WHERE num = $5 AND uploaded_at = 0",
			s.now().UnixMicro(), o.Name, o.Bytes, o.SHA256[:], f.Num)
		if err != nil || n == 0 {
			return err
		}
		_, err = t.exec(ctx, "DELETE FROM outbox WHERE file = $1 AND file <> 0", f.Num)
		return err
	})
}

// UnlistedJobs implements queue.Outbox.
func (s *Store) UnlistedJobs(ctx context.Context, limit int, but ...task.ID) (jobs []task.Job, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		others, args := notOf("(SELECT k.id FROM tasks k WHERE k.num = j.task)", 2, but)
		jobs, err = readJobs(ctx, t, jobColumns, `WHERE j.manifest_due = 1 AND j.ended_at <> 0 AND j.kind NOT IN ('retry', 'external')
			AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = j.num)
			AND NOT EXISTS (SELECT 1 FROM retired r WHERE r.task = j.task AND r.job = j.num AND r.what = '`+retiredLine+`')`+others+`
			ORDER BY j.num LIMIT $1`, append([]any{limit}, args...)...)
		return err
	})
	return jobs, err
}

// JobLists implements queue.Outbox.
func (s *Store) JobLists(ctx context.Context, job task.JobID) (out []queue.UploadedList, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		return each(ctx, t, "SELECT "+fileColumns+", f.name, f.bytes, f.sha256"+fileTables+`WHERE j.id = $1 AND f.uploaded_at <> 0
			ORDER BY f.num`, []any{string(job)}, func(r rows) error {
			var u queue.UploadedList
			var sum []byte
			var err error
			u.ListFile, err = scanFile(r, &u.Name, &u.Bytes, &sum)
			copy(u.SHA256[:], sum)
			out = append(out, u)
			return err
		})
	})
	return out, err
}

// ManifestWritten implements queue.Outbox.
func (s *Store) ManifestWritten(ctx context.Context, job task.JobID) error {
	return s.write(ctx, func(ctx context.Context, t *txn) error {
		// Lines that were added while it was written make it due again.
		_, err := t.exec(ctx, `UPDATE jobs SET manifest_due = 0 WHERE id = $1 AND ended_at <> 0
			AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.job = jobs.num)`, string(job))
		return err
	})
}

// ListsWaiting returns how many sealed lists wait for their upload, and the time the oldest
// was sealed; the zero time when none does.
func (s *Store) ListsWaiting(ctx context.Context) (n int64, oldest time.Time, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		var first *int64
		err := one(ctx, t, "SELECT count(*), min(sealed_at) FROM list_files WHERE uploaded_at = 0", nil, &n, &first)
		if err == nil && first != nil {
			oldest = fromMicros(*first)
		}
		return err
	})
	return n, oldest, err
}
