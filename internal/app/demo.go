package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// What a demo is made of: a thousand objects, of which a rule excludes some, some are at
// the destination already, and some cannot be written there.
const (
	demoObjects  = 1000
	demoExcluded = 12
	demoThere    = 4
	demoBlocked  = 3

	demoEndpoint = "disk"
	demoTask     = "demo"
)

// Demo is a service over a directory of its own, with two directories as buckets, sample
// objects, and a task between them.
type Demo struct {
	*Service
	Dir  string
	Task task.Task
}

// DemoConfig says where a demo lives.
type DemoConfig struct {
	ServeConfig
	Dir string // is made; one that a demo made before is gone on with
}

// NewDemo makes the sample data, the service and the task. Nothing runs before Run.
func NewDemo(ctx context.Context, cfg DemoConfig) (_ *Demo, err error) {
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	if err := demoData(cfg.Dir); err != nil {
		return nil, &task.Error{Kind: task.Invalid, Code: "DEMO_DIR", Text: fmt.Sprintf("cannot make the sample data: %v", err), Next: "give --dir an empty directory this user may write to", Err: err}
	}
	cfg.Data, cfg.Role, cfg.Project = filepath.Join(cfg.Dir, "data"), config.RoleAll, "default"
	s, err := NewService(ctx, cfg.ServeConfig)
	if err != nil {
		return nil, err
	}
	d := &Demo{Service: s, Dir: cfg.Dir}
	if d.Task, err = d.ensureTask(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return d, nil
}

// source and destination are the buckets' directories.
func demoBuckets(dir string) (store, src, dst string) {
	store = filepath.Join(dir, "store")
	return store, filepath.Join(store, "src"), filepath.Join(store, "dst")
}

// demoKey names the sample object of a number. One of them has a + in it, since other
// tools lose those.
func demoKey(i int) string {
	switch {
	case i == 0:
		return "photos/a+b.jpg"
	case i < demoExcluded+1:
		return fmt.Sprintf("photos/cache/%03d.tmp", i)
	}
	return fmt.Sprintf("photos/%d/%03d.jpg", 2019+i%7, i)
}

// demoData writes the sample objects unless they are there.
func demoData(dir string) error {
	_, src, dst := demoBuckets(dir)
	if _, err := os.Stat(src); err == nil {
		return nil // a demo that was ended before
	}
	random := rand.New(rand.NewPCG(1, 2))
	begun := src + ".making"
	for i := range demoObjects {
		body := make([]byte, 512+random.IntN(16<<10))
		for j := range body {
			body[j] = byte(random.Uint32())
		}
		if err := writeFile(filepath.Join(begun, demoKey(i)), body); err != nil {
			return err
		}
		at := filepath.Join(dst, demoKey(i))
		switch last := demoObjects - i; {
		case last <= demoBlocked: // a directory where the object's file must go
			at = filepath.Join(at, "in the way.txt")
		case last > demoBlocked+demoThere:
			continue
		}
		if err := writeFile(at, body); err != nil {
			return err
		}
		later := time.Now().Add(2 * time.Second) // later than the source, so that a comparison calls them equal
		if err := os.Chtimes(at, later, later); err != nil {
			return err
		}
	}
	return os.Rename(begun, src)
}

// Blocked is a key whose copy fails: there is a directory where its file must go.
func (d *Demo) Blocked() string { return demoKey(demoObjects - 1) }

// InTheWay is a pattern of the directories that keep Blocked and its like from being
// copied, for a shell.
func (d *Demo) InTheWay() string {
	_, _, dst := demoBuckets(d.Dir)
	if here, err := os.Getwd(); err == nil {
		if near, err := filepath.Rel(here, dst); err == nil && !strings.HasPrefix(near, "..") {
			dst = near
		}
	}
	return filepath.Join(dst, fmt.Sprintf("photos/*/99[%d-9].jpg", 10-demoBlocked))
}

func writeFile(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

func (d *Demo) ensureTask(ctx context.Context) (task.Task, error) {
	store, _, _ := demoBuckets(d.Dir)
	c, who := d.Control(), d.Admin()
	_, err := c.CreateEndpoint(ctx, who, control.NewEndpoint{ID: demoEndpoint, Provider: "file", URL: (&url.URL{Scheme: "file", Path: store}).String()})
	if err != nil && task.KindOf(err) != task.Conflict {
		return task.Task{}, err
	}
	k, err := c.CreateTask(ctx, who, control.NewTask{
		Name: demoTask, Description: "made by lockstep demo",
		Source:      task.Location{Endpoint: demoEndpoint, Bucket: "src"},
		Destination: task.Location{Endpoint: demoEndpoint, Bucket: "dst"},
		Options:     task.Options{Filter: []string{"exclude *.tmp"}},
	})
	if task.KindOf(err) == task.Conflict {
		return c.Task(ctx, who, demoTask)
	}
	return k, err
}

// Scan starts a scan and returns its counts once it has ended, and tells of them before.
func (d *Demo) Scan(ctx context.Context, tell func(task.Counts)) (task.Job, error) {
	j, err := d.Control().StartScan(ctx, d.Admin(), demoTask)
	for err == nil && !j.State.Ended() {
		if err = pause(ctx, 50*time.Millisecond); err != nil {
			break
		}
		if j, err = d.Control().Job(ctx, d.Admin(), j.ID); err == nil {
			tell(j.Counts)
		}
	}
	return j, err
}

// Counts are those of the task since it was made.
func (d *Demo) Counts(ctx context.Context) (task.Counts, error) {
	s, err := d.Control().Status(ctx, d.Admin(), demoTask)
	return s.Counts, err
}

// Settled waits, for a second at most, until nothing waits, and returns the counts.
func (d *Demo) Settled(ctx context.Context) (n task.Counts, err error) {
	for begun := time.Now(); ; {
		n, err = d.Counts(ctx)
		if err != nil || n.Pending() == 0 || time.Since(begun) > time.Second {
			return n, err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return n, err
		}
	}
}

// Change writes an object anew at the source and says so by an event, and returns its
// key and how long it took until the destination had it.
func (d *Demo) Change(ctx context.Context) (key string, took time.Duration, err error) {
	key = demoKey(demoExcluded + 1 + rand.IntN(demoObjects-demoExcluded-1-demoBlocked))
	_, src, dst := demoBuckets(d.Dir)
	body := []byte(strings.Repeat(time.Now().Format(time.RFC3339Nano)+"\n", 20))
	if err := writeFile(filepath.Join(src, key), body); err != nil {
		return key, 0, err
	}
	begun := time.Now()
	if _, err := d.Control().AcceptEvents(ctx, d.Admin(), demoTask, []control.Event{{Key: key}}); err != nil {
		return key, 0, err
	}
	for {
		there, err := os.ReadFile(filepath.Join(dst, key))
		if err == nil && string(there) == string(body) {
			return key, time.Since(begun), nil
		}
		if time.Since(begun) > 10*time.Second {
			return key, 0, task.Errorf(task.Unavailable, "%s did not arrive within 10 s", key)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return key, 0, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
