package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// bench is one invocation of the harness.
type bench struct {
	options
	self  string // this program, for steps and servers
	dir   string // removed at the end
	tools []tool
	stage *stage // nil until the first workload
	log   *os.File
	out   io.Writer
}

func newBench(ctx context.Context, opt options, out io.Writer) (_ *bench, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(opt.data, "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: opt, self: self, dir: dir, out: out}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	b.tools, err = prepareTools(ctx, opt, self, dir)
	return b, err
}

// close ends the servers and removes everything that was written.
func (b *bench) close() error {
	if b.stage != nil {
		b.stage.close()
	}
	var err error
	if b.log != nil {
		err = b.log.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// sample is one run of one tool; also a line of -json.
type sample struct {
	Workload string           `json:"workload"`
	Server   serverKind       `json:"server"`
	DelayMS  float64          `json:"delay_ms,omitempty"`
	Scale    float64          `json:"scale"`
	Objects  int              `json:"objects"`
	Tool     string           `json:"tool"`
	Run      int              `json:"run"`
	Wall     float64          `json:"wall_s"`
	User     float64          `json:"user_s"`
	Sys      float64          `json:"sys_s"`
	CPU      float64          `json:"cpu_s"`
	Peak     float64          `json:"peak_mib"`
	Requests map[string]int64 `json:"requests,omitempty"` // by kind, both sides; server mem only
	OK       bool             `json:"ok"`
	Said     string           `json:"said"` // by verify, or why the tool failed
}

// measure runs every tool in turn (A B C, A B C, …) on one workload, each from the
// same start, and checks after each run that the destination equals the source.
func (b *bench) measure(ctx context.Context, w workload.Workload) ([]sample, error) {
	if err := b.enter(ctx, w); err != nil {
		return nil, err
	}
	var samples []sample
	for run := range b.runs {
		for _, t := range b.tools {
			at := b.stage.place(filepath.Join(b.dir, "work"))
			if _, _, ok := t.command(w, at); !ok {
				continue
			}
			s, err := b.runOnce(ctx, w, t, run)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			samples = append(samples, s)
			fmt.Fprintf(b.out, "# %s run %d of %d, %s: wall %.2f s, CPU %.2f s, peak %.0f MiB: %s\n",
				w.Name, run+1, b.runs, t.name, s.Wall, s.CPU, s.Peak, s.Said)
			if err := b.record(s); err != nil {
				return nil, err
			}
		}
	}
	return samples, nil
}

// enter sets the stage for a workload; one that is filled with the same data and
// ends every run with equal sides is kept.
func (b *bench) enter(ctx context.Context, w workload.Workload) error {
	if b.stage != nil && b.stage.serves(w) {
		b.stage.workload = w
		return nil
	}
	if b.stage != nil {
		b.stage.close()
	}
	b.stage = &stage{bench: b, workload: w}
	start := time.Now()
	if err := b.stage.open(ctx); err != nil {
		return err
	}
	_, err := fmt.Fprintf(b.out, "# %s: filled in %.1f s\n", w.Name, time.Since(start).Seconds())
	return err
}

// runOnce measures one run. A tool that fails makes a sample that is not OK; an
// error means that the harness cannot go on.
func (b *bench) runOnce(ctx context.Context, w workload.Workload, t tool, run int) (sample, error) {
	if err := b.stage.reset(ctx); err != nil {
		return sample{}, err
	}
	at := b.stage.place(filepath.Join(b.dir, "work"))
	if err := errors.Join(os.RemoveAll(at.work), os.Mkdir(at.work, 0o755)); err != nil {
		return sample{}, err
	}
	before, err := b.stage.requests(ctx)
	if err != nil {
		return sample{}, err
	}
	said, err := b.log.Seek(0, io.SeekEnd)
	if err != nil {
		return sample{}, err
	}
	args, env, _ := t.command(w, at)
	used, failure := timed(ctx, command{
		args: append([]string{t.program}, args...), env: append(baseEnv(at.work), env...), dir: at.work,
	}, b.log)
	if ctx.Err() != nil {
		return sample{}, context.Cause(ctx)
	}
	s := sample{
		Workload: w.Name, Server: b.server, Scale: b.scale, Objects: w.Count(b.scale), Tool: t.name, Run: run,
		Wall: used.Wall.Seconds(), User: used.User.Seconds(), Sys: used.Sys.Seconds(), CPU: used.cpu().Seconds(), Peak: used.Peak,
	}
	if w.Delayed {
		s.DelayMS = b.delay.Seconds() * 1000
	}
	if s.Requests, err = b.stage.requests(ctx); err != nil {
		return sample{}, err
	}
	for kind, n := range before {
		s.Requests[kind] -= n
	}
	if failure != nil {
		s.Said = fmt.Sprintf("%v: %s", failure, b.lastLines(said))
		return s, b.stage.heal(ctx)
	}
	return b.stage.check(ctx, s, run == b.runs-1)
}

// record appends a sample to the file that -json names.
func (b *bench) record(s sample) error {
	if b.json == "" {
		return nil
	}
	f, err := os.OpenFile(b.json, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(s), f.Close())
}

// lastLines is the end of what was logged since an offset, on one line.
func (b *bench) lastLines(since int64) string {
	const most = 600
	size, err := b.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	text := make([]byte, min(size-since, most))
	if _, err := b.log.ReadAt(text, size-int64(len(text))); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// step runs one of this program's steps to its end and returns what it printed.
func (b *bench) step(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.self, append([]string{name}, args...)...)
	cmd.Env = baseEnv(b.dir)
	cmd.SysProcAttr = ownGroup()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch cause := context.Cause(ctx); {
	case err != nil && cause != nil:
		err = cause
	case err != nil:
		err = fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), err
}
