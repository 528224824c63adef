package oms_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// A retry looks for the literal plus as the event did: an object that came to the source
// since is synced, and the failed line of a retry is as good an event as the first one.
func TestRetryLooksForTheLiteralPlus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.newTask("dst")
	w.want(w.sender, "POST", path+"/events", objectKeys("test+001.txt"), 200, "", nil)
	if m := w.settled(path, 1); m.Failure != 1 {
		t.Fatalf("%+v", m)
	}
	w.retry(path, control.Retry{})
	if m := w.settled(path, 1); m.Failure != 1 || m.Requested != 1 {
		t.Fatalf("after a retry that found nothing: %+v", m)
	}
	w.want(w.operator, "POST", path+"/stop", "", 200, "", nil) // the lists are written
	lines := w.failedLines(path, 2)
	for _, l := range lines {
		if len(l) != 5 || l[2] != "test+001.txt" || l[3] != "test 001.txt" {
			t.Errorf("failed line %q", l)
		}
	}
	w.want(w.operator, "POST", path+"/start", keysBody, 200, "", nil)

	w.s3.Put("src", "test+001.txt", []byte("plus"))
	w.retry(path, control.Retry{Key: "test 001.txt"})
	if m := w.settled(path, 2); m.Success != 1 || m.Skip != 1 || m.Failure != 0 {
		t.Fatalf("after a retry that found the literal plus: %+v", m)
	}
	if got, ok := w.s3.Get("dst", "test+001.txt"); !ok || string(got) != "plus" {
		t.Errorf("test+001.txt: %q", got)
	}
	if _, ok := w.s3.Get("dst", "test 001.txt"); ok {
		t.Error("a key was written that the source does not hold")
	}

	w.s3.Put("src", "test+001.txt", []byte("another plus"))
	w.want(w.sender, "POST", path+"/events", objectKeys(lines[1][2]), 200, "", nil)
	if m := w.settled(path, 4); m.Success != 2 || m.Skip != 2 || m.Failure != 0 {
		t.Errorf("after the line of the retry was sent: %+v", m)
	}
	if got, ok := w.s3.Get("dst", "test+001.txt"); !ok || string(got) != "another plus" {
		t.Errorf("test+001.txt: %q", got)
	}
}

// retry tries failed records of a task again and waits until it has ended.
func (w *world) retry(path string, r control.Retry) {
	w.Helper()
	j, err := w.s.Control().Retry(w.Context(), w.s.Admin(), strings.TrimPrefix(path, p1+"/"), r)
	w.must(err)
	if j.Counts.Requested != 1 {
		w.Fatalf("%d records are tried again, want 1", j.Counts.Requested)
	}
	for range 600 {
		j, err = w.s.Control().Job(w.Context(), w.s.Admin(), j.ID)
		w.must(err)
		if j.State.Ended() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	w.Fatalf("the retry has not ended: %+v", j)
}

// failedLines waits until the failed lists of a task have n lines and returns their columns.
func (w *world) failedLines(path string, n int) (lines [][]string) {
	w.Helper()
	at := task.Location{Endpoint: "obs", Bucket: "dst"}
	keys := control.Credentials{AccessKey: "STOREKEY", SecretKey: secret.New("storesecret")}
	prefix := "oms/sync_task/" + strings.TrimPrefix(path, p1+"/") + "/failed_object_lists/"
	for range 600 {
		lines = nil
		page, err := w.s.Control().ListObjects(w.Context(), w.s.Admin(), at, keys, control.Listing{Prefix: prefix, Limit: 100})
		w.must(err)
		for _, o := range page.Names {
			text, _ := w.s3.Get("dst", o.Key)
			for l := range bytes.Lines(text) {
				lines = append(lines, strings.Split(strings.TrimSuffix(string(l), "\n"), "\t"))
			}
		}
		if len(lines) == n {
			return lines
		}
		<-time.After(50 * time.Millisecond)
	}
	w.Fatalf("failed lines %q, want %d", lines, n)
	return nil
}
