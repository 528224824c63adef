package worker

import (
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// step is one thing that happens.
func (m *simulation) step() {
	m.reap()
	if m.source.over() {
		m.endMood()
	}
	switch n := m.rng.IntN(100); {
	case n < 58:
		m.write()
	case n < 65:
		m.drop(m.rng.IntN(simKeys))
	case n < 70:
		m.scan()
	case n < 73:
		m.manifest()
	case n < 75:
		m.retry()
	case n < 77:
		m.cancel()
	case n < 80:
		m.node.kill()
		m.boot()
	case n < 81:
		m.node.stop()
		m.boot()
	case n < 85:
		m.freeze()
	case n < 88:
		m.change(func(k *task.Task) {
			k.State = map[task.State]task.State{task.Active: task.Paused, task.Paused: task.Active}[k.State]
		})
	case n < 90:
		m.sulk()
	case n < 91:
		m.purge()
	default:
		m.look()
	}
}

// write puts new versions of some keys and tells of most of them.
func (m *simulation) write() {
	for range 1 + m.rng.IntN(8) {
		i := m.rng.IntN(simKeys)
		m.last[i]++
		m.versions[i] = m.last[i]
		m.put(m.src, m.key(i), fmt.Sprintf("%d of %s", m.versions[i], m.key(i)))
		if m.rng.IntN(10) > 0 {
			m.event(m.key(i))
			m.accepted++
			if m.source.mood() != emptied { // else it may be taken for gone
				m.told[i] = m.versions[i]
			}
		}
	}
}

// drop deletes a key at the source and tells of it.
func (m *simulation) drop(i int) {
	m.lose(i)
	m.event(m.key(i))
	m.accepted++
}

func (m *simulation) lose(i int) {
	m.must(m.src.Delete(m.Context(), m.key(i), objstore.DeleteOptions{}))
	m.versions[i] = 0
	m.forget(i)
}

// forget takes back what was promised of a key.
func (m *simulation) forget(i int) {
	m.told[i] = 0
	for _, f := range m.manifests {
		delete(f.told, i)
	}
}

func (m *simulation) scan() {
	_, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ScanJob}, task.Actor{})
	m.mayConflict(err)
}

// manifest names keys in a job of its own, which stays open now and then.
func (m *simulation) manifest() {
	j, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.ManifestJob}, task.Actor{})
	m.must(err)
	f := simManifest{job: j.ID, told: map[int]int{}}
	b := queue.Batch{Task: m.task.ID, Job: j.ID}
	for range 1 + m.rng.IntN(10) {
		i := m.rng.IntN(simKeys)
		if m.source.mood() != emptied {
			f.told[i] = m.versions[i]
		}
		b.Entries = append(b.Entries, queue.Entry{Key: m.key(i)})
	}
	for err = errAway; errors.Is(err, errAway); {
		_, err = m.in.Accept(m.Context(), b)
	}
	m.must(err)
	m.accepted += int64(len(b.Entries))
	m.manifests = append(m.manifests, f)
	if m.rng.IntN(4) > 0 {
		m.must(m.db.CloseJob(m.Context(), j.ID))
	}
}

// retry tries everything again that has failed.
func (m *simulation) retry() {
	j, err := m.db.StartJob(m.Context(), queue.JobStart{Task: m.task.ID, Kind: task.RetryJob}, task.Actor{})
	m.must(err)
	m.world.Lock()
	defer m.world.Unlock()
	from, err := m.db.Retry(m.Context(), j.ID, queue.Retry{}, 0, 20)
	for err == nil && from != 0 {
		from, err = m.db.Retry(m.Context(), j.ID, queue.Retry{}, from, 20)
	}
	m.must(err)
	m.must(m.db.CloseJob(m.Context(), j.ID))
}

// cancel cancels a job that runs, and takes back what that alone had promised.
func (m *simulation) cancel() {
	jobs, err := m.db.Jobs(m.Context(), "p", db.JobFilter{Task: m.task.ID})
	m.must(err)
	for _, j := range jobs {
		if j.State.Ended() || j.Kind == task.EventsJob || m.rng.IntN(2) == 0 {
			continue
		}
		for _, f := range m.manifests {
			if f.job == j.ID {
				clear(f.told)
			}
		}
		m.world.Lock()
		m.mayConflict(m.db.CancelJob(m.Context(), j.ID, "a step of the simulation", task.Actor{}))
		m.world.Unlock()
		return
	}
}

// freeze holds a node up longer than its leases last; another takes over. What it
// asked the database for arrives when it thaws.
func (m *simulation) freeze() {
	m.node.freeze(time.Duration(8+m.rng.IntN(5)) * time.Second)
	m.frozen = append(m.frozen, m.node)
	m.boot()
}

// sulk puts the source into a bad mood for a while.
func (m *simulation) sulk() {
	moods := []mood{emptied, vanished, halfway}
	if m.source.mood() != fine {
		return
	}
	mood := moods[m.rng.IntN(len(moods))]
	if mood == emptied {
		for i := range m.told {
			m.forget(i)
		}
	}
	held := map[string]bool{}
	for i, v := range m.versions {
		held[m.key(i)] = v > 0
	}
	m.source.sulk(mood, held, time.Duration(20+m.rng.IntN(20))*time.Second)
	m.scan()
}

// endMood makes the source well again.
func (m *simulation) endMood() { m.source.sulk(fine, nil, 0) }

// purge takes more from the source than a scan may delete, and scans.
func (m *simulation) purge() {
	if !m.scansEnded() {
		return // one may have compared some already
	}
	for _, i := range m.rng.Perm(simKeys)[:3*simDeletes] {
		m.lose(i)
	}
	m.scan()
}

// scansEnded says whether no scan runs.
func (m *simulation) scansEnded() bool {
	jobs, err := m.db.Jobs(m.Context(), "p", db.JobFilter{Task: m.task.ID})
	m.must(err)
	for _, j := range jobs {
		if j.Kind == task.ScanJob && !j.State.Ended() {
			return false
		}
	}
	return true
}
