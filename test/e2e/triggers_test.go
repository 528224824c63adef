package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
)

// onDisk is a running service with a task t between two directories of one store.
func onDisk(t *testing.T) (s *service, src, dst string) {
	t.Helper()
	disk := t.TempDir()
	src, dst = filepath.Join(disk, "src"), filepath.Join(disk, "dst")
	for _, dir := range []string{src, dst} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s = newService(t)
	s.start()
	s.endpointOf("disk", dirSide(disk))
	s.newTask("t", "disk:src", "disk:dst", nil)
	return s, src, dst
}

// TestMissedEvents drops one event of a hundred: the next scan repairs exactly these keys,
// and says exactly this rate.
func TestMissedEvents(t *testing.T) {
	t.Parallel()
	s, src, dst := onDisk(t)
	const keys, hundred = 1000, 100
	write := func(i int, text string, age time.Duration) {
		t.Helper()
		path := filepath.Join(src, fmt.Sprintf("k%04d", i))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	var named, dropped []string
	for i := range keys {
		write(i, "first", 2*time.Hour)
		if key := fmt.Sprintf("k%04d", i); i%hundred == 7 {
			dropped = append(dropped, key)
		} else {
			named = append(named, key)
		}
	}
	s.event("t", "k0000") // a task that gets events
	s.settled("t")
	if j := s.scanned("t"); j.State != "done" || j.Counts.Synced != keys-1 || j.Counts.Missed != 0 {
		t.Fatalf("first scan %+v", j)
	}
	for i := range keys {
		write(i, "second, and longer", time.Hour)
	}
	s.event("t", named...)
	if n := s.settled("t"); n.Failed != 0 {
		t.Fatalf("events %+v", n)
	}
	j := s.scanned("t")
	if j.State != "done" || j.Counts.Synced != int64(len(dropped)) || j.Counts.Missed != int64(len(dropped)) || j.Counts.Unchanged != int64(len(named)) {
		t.Fatalf("second scan %+v", j)
	}
	for i := range keys {
		if text, err := os.ReadFile(filepath.Join(dst, fmt.Sprintf("k%04d", i))); err != nil || string(text) != "second, and longer" {
			t.Fatalf("k%04d: %q, %v", i, text, err)
		}
	}
	var st struct {
		Rate float64 `json:"missed_rate"`
	}
	s.call(http.MethodGet, "/tasks/t/status", nil, &st)
	if st.Rate != 0.01 {
		t.Fatalf("rate %v, want 0.01", st.Rate)
	}
	wants(t, s.cli(0, "", "status", "t"), "1 % of the changes before the last scan came without an event")
	if j := s.scanned("t"); j.Counts.Missed != 0 {
		t.Fatalf("third scan %+v", j)
	}
	s.call(http.MethodGet, "/tasks/t/status", nil, &st)
	if st.Rate != 0 {
		t.Fatalf("rate %v after a scan that found nothing", st.Rate)
	}
	s.prove("t")
}

// TestScheduleByCommandLine makes a task that is scanned every minute, in a zone that this
// program brings along.
func TestScheduleByCommandLine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the next minute")
	}
	s, src, dst := onDisk(t)
	if err := os.Mkdir(dst+"2", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "a"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, s.cli(1, "", "task", "create", "u", "disk:src", "disk:dst2", "--schedule", "* * * *"), "BAD_SCHEDULE", "30 2 * * *")
	wants(t, s.cli(1, "", "task", "create", "u", "disk:src", "disk:dst2", "--schedule", "* * * * *", "--zone", "Mars"), "BAD_SCHEDULE", "Europe/Berlin")
	wants(t, s.cli(1, "", "task", "create", "u", "disk:src", "disk:dst2", "--bandwidth", "8-18=1M"), "BAD_WINDOW")
	wants(t, s.cli(1, "", "task", "create", "u", "disk:src", "disk:dst2", "--bandwidth", "08:00-12:00=1M", "--bandwidth", "12:00-13:00=1M"), "BAD_WINDOW", "overlap")
	s.cli(0, "", "task", "create", "u", "disk:src", "disk:dst2", "--schedule", "* * * * *", "--zone", "Europe/Berlin", "--missed", "skip", "--bandwidth", "08:00-18:00=10MiB")
	wants(t, s.cli(0, "", "task", "show", "u"), `"cron": "* * * * *"`, `"zone": "Europe/Berlin"`, `"missed": "skip"`, `"from": "08:00"`, `"bytes_per_second": 10485760`, `"next_run"`)
	wants(t, s.cli(0, "", "status", "u"), "next scan", "(in ")
	var st struct {
		Schedule struct{ Last, Next, LastJob string }
	}
	s.until("the schedule has started a scan", func() bool {
		s.call(http.MethodGet, "/tasks/u/status", nil, &st)
		return st.Schedule.Last == "started"
	})
	s.until("it has copied", func() bool { return s.counts("u").Synced == 1 })
	wants(t, s.cli(0, "", "audit", "list"), "job.start")
	if text := s.cli(0, "", "task", "change", "u", "--schedule", "", "--bandwidth", ""); strings.Contains(text, "next_run") || strings.Contains(text, "bandwidth") {
		t.Errorf("after both were taken away:\n%s", text)
	}
	wants(t, s.cli(0, "", "task", "change", "u", "--schedule", "0 3 * * *", "--zone", "Asia/Tokyo"), "next_run", "T18:00:00Z")
	// The zone of windows is not that of a schedule which is not named.
	wants(t, s.cli(0, "", "task", "change", "u", "--bandwidth", "08:00-17:59=10MiB", "--zone", "Asia/Kolkata"), "T18:00:00Z", `"zone": "Asia/Kolkata"`, `"zone": "Asia/Tokyo"`)
	wants(t, s.cli(0, "", "task", "change", "u", "--schedule", "0 4 * * *", "--zone", "Asia/Tokyo"), "T19:00:00Z", `"zone": "Asia/Kolkata"`)
	if text := s.cli(0, "", "task", "change", "u", "--zone", "UTC"); !strings.Contains(text, "T04:00:00Z") || strings.Contains(text, "Asia") {
		t.Errorf("a zone alone moves both:\n%s", text)
	}
}

// TestBandwidth changes the windows of tasks while they copy, to a store and between
// directories.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	window := func(rate int64) map[string]any {
		return map[string]any{"bandwidth": []map[string]any{{"from": "00:00", "to": "23:59", "bytes_per_second": rate}}}
	}
	s, src, _ := onDisk(t)
	if err := os.Mkdir(filepath.Join(filepath.Dir(src), "other"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, dst := s3Bucket(t, s3server.VersityGW(t), "versitygw", "dst") // inside an S3 store nothing is read
	s.endpointOf("store", dst)
	tasks := []string{"slow", "beside"}
	s.newTask("slow", "disk:src", "store:dst", window(64<<10))
	s.newTask("beside", "disk:src", "disk:other", window(64<<10))
	const size = 8 << 20 // two minutes at this rate
	if err := os.WriteFile(filepath.Join(src, "large"), make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range tasks {
		s.event(name, "large")
	}
	begun := time.Now()
	time.Sleep(1500 * time.Millisecond) // that nothing happens has no sign to wait for
	for _, name := range tasks {
		if n := s.counts(name); n.Pending != 1 {
			t.Fatalf("%s: %d bytes took less than %s at 64 KiB/s: %+v", name, size, time.Since(begun), n)
		}
		s.call(http.MethodPatch, "/tasks/"+name, map[string]any{"options": window(1 << 30)}, nil)
		s.until("it is copied", func() bool { return s.counts(name).Synced == 1 })
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("the change was not felt: %s", took)
	}
}
