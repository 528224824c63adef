package history

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func whole() Proof {
	return Proof{
		Counted: task.Counts{Requested: 20, Synced: 6, Failed: 2, Ignored: 9, Unchanged: 5},
		Waiting: 2, Staged: 1, Failures: 2, Unlisted: 4, Named: 7,
		Stored:   map[queue.ListKind]int64{queue.ListSynced: 2, queue.ListFailed: 3, queue.ListIgnored: 5, queue.ListReceived: 7},
		Uploaded: map[queue.ListKind]int64{queue.ListSynced: 4, queue.ListRetried: 1},
		ByReason: map[task.Outcome]map[task.Reason]int64{
			task.Synced: {task.Copied: 5, task.Deleted: 1}, task.Failed: {task.DestinationDenied: 2}, task.Ignored: {task.UpToDate: 9},
		},
	}
}

// Each term of a proof is looked at: one more of any breaks it.
func TestProofFindsEachDifference(t *testing.T) {
	t.Parallel()
	if err := whole().Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Proof){
		"requested":      func(p *Proof) { p.Counted.Requested++ },
		"synced":         func(p *Proof) { p.Counted.Synced++; p.Counted.Requested++ },
		"failed":         func(p *Proof) { p.Counted.Failed++; p.Counted.Requested++ },
		"ignored":        func(p *Proof) { p.Counted.Ignored++; p.Counted.Requested++ },
		"waiting":        func(p *Proof) { p.Waiting++ },
		"staged":         func(p *Proof) { p.Staged-- },
		"failures":       func(p *Proof) { p.Failures++ },
		"unlisted":       func(p *Proof) { p.Unlisted++ },
		"named":          func(p *Proof) { p.Named++ },
		"synced lines":   func(p *Proof) { p.Stored[queue.ListSynced]++ },
		"failed lines":   func(p *Proof) { p.Stored[queue.ListFailed]++ },
		"retried lines":  func(p *Proof) { p.Uploaded[queue.ListRetried]++ },
		"ignored lines":  func(p *Proof) { p.Uploaded[queue.ListIgnored]++ },
		"received lines": func(p *Proof) { p.Uploaded[queue.ListReceived]++ },
		"reasons":        func(p *Proof) { p.ByReason[task.Synced][task.Deleted]++ },
		"failed reasons": func(p *Proof) { delete(p.ByReason, task.Failed) },
		"other reasons":  func(p *Proof) { p.ByReason[task.Ignored][task.Superseded] = 1 },
		"counts":         func(p *Proof) { p.Counted.Bytes = -1 },
	} {
		p := whole()
		if change(&p); p.Check() == nil {
			t.Errorf("%s: not found", name)
		}
	}
	attempts := Proof{Counted: task.Counts{Requested: 3, Synced: 1}, Waiting: 2, Attempts: true}
	if err := attempts.Check(); err != nil {
		t.Error(err)
	}
	if attempts.Waiting++; attempts.Check() == nil {
		t.Error("attempts: not found")
	}
}

// Each field of an audit entry is bound by its hash.
func TestSealBindsEachField(t *testing.T) {
	t.Parallel()
	e := AuditEntry{Num: 1, At: time.Unix(1, 2000), Actor: task.Actor{Key: "k", Address: "a"}, Project: "p", Action: "ab", Subject: "c", Detail: []byte(`{}`)}
	seen := map[[32]byte]string{}
	for name, change := range map[string]func(*AuditEntry){
		"itself": func(*AuditEntry) {}, "num": func(e *AuditEntry) { e.Num++ }, "time": func(e *AuditEntry) { e.At = e.At.Add(time.Microsecond) },
		"actor": func(e *AuditEntry) { e.Actor.Request = "r" }, "project": func(e *AuditEntry) { e.Project = "q" },
		"action": func(e *AuditEntry) { e.Action = "a" }, "moved border": func(e *AuditEntry) { e.Action, e.Subject = "a", "bc" },
		"detail": func(e *AuditEntry) { e.Detail = []byte(`{"a":1}`) }, "prev": func(e *AuditEntry) { e.Prev[31] = 1 },
	} {
		x := e
		change(&x)
		h, err := x.Seal()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[h] = name
	}
}

func FuzzRetriedLine(f *testing.F) {
	f.Add("a b", "DST_DENIED")
	f.Add("\x00\xff\t\n\\", "X")
	f.Fuzz(func(t *testing.T, key, reason string) {
		if strings.ContainsAny(reason, "\t\n") {
			t.Skip("reasons are our own")
		}
		l := RetriedLine{At: time.Unix(1e9, 5e6).UTC(), Key: key, Reason: task.Reason(reason)}
		line := l.Append(nil)
		got, err := ParseRetriedLine(line[:len(line)-1])
		if err != nil || got != l {
			t.Fatalf("%q: %+v became %+v, %v", line, l, got, err)
		}
	})
}

func FuzzParseRetriedLine(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05.678Z\ta+b\ta b\tDST_DENIED"))
	f.Add([]byte("\t\t\t"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := ParseRetriedLine(line)
		if err != nil {
			return
		}
		out := l.Append(nil)
		if again, err := ParseRetriedLine(out[:len(out)-1]); err != nil || again != l {
			t.Fatalf("%+v became %+v, %v", l, again, err)
		}
	})
}
