package main

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"time"

	"github.com/lockstep-sync/lockstep/test/bench/memserver"
	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// stage is a source and a destination, filled for a workload.
type stage struct {
	*bench
	workload workload.Workload
	spec     serverSpec
	src, dst *server // one server when the workload is inside one service
	seed     uint64  // of the last rewrite
}

// serves says whether a stage can be kept for the next workload.
func (s *stage) serves(w workload.Workload) bool {
	return w.Data == s.workload.Data && w.Part == s.workload.Part &&
		w.Start != workload.Fresh && s.workload.Start != workload.Fresh
}

func (s *stage) place(work string) place {
	return place{src: s.src.endpoint, dst: s.dst.endpoint, work: work, same: s.workload.SameService}
}

// open starts the servers and fills the source, and the destination where the
// workload starts with equal sides.
func (s *stage) open(ctx context.Context) error {
	var delay time.Duration
	if s.workload.Delayed {
		delay = s.delay
	}
	var err error
	if s.spec, err = s.server.spec(ctx, s.self, delay); err != nil {
		return err
	}
	if s.src, err = s.start(ctx); err != nil {
		return err
	}
	s.dst = s.src
	if !s.workload.SameService {
		if s.dst, err = s.start(ctx); err != nil {
			return err
		}
	}
	scale := formatScale(s.scale * s.workload.Part)
	if err := s.on(ctx, "fill", "-data", string(s.workload.Data), "-scale", scale); err != nil {
		return err
	}
	if s.workload.Start == workload.Fresh {
		return nil
	}
	return errors.Join(s.on(ctx, "limit", "-no-dst-list"), s.on(ctx, "verify"))
}

func (s *stage) start(ctx context.Context) (*server, error) {
	return startServer(ctx, s.spec, s.dir, s.log)
}

// on runs a step on both endpoints.
func (s *stage) on(ctx context.Context, step string, args ...string) error {
	_, err := s.step(ctx, step, append([]string{"-src", s.src.endpoint, "-dst", s.dst.endpoint}, args...)...)
	return err
}

// reset brings both sides to the workload's start.
func (s *stage) reset(ctx context.Context) error {
	switch {
	case s.workload.Start == workload.Fresh && s.workload.SameService:
		return s.on(ctx, "purge")
	case s.workload.Start == workload.Fresh:
		s.dst.stop()
		var err error
		if s.dst, err = s.start(ctx); err != nil {
			return err
		}
		return s.on(ctx, "fill") // no data: the bucket alone
	case s.workload.Start == workload.Changed:
		return s.rewrite(ctx)
	}
	return nil
}

// rewrite changes a part of the source. Tools that compare times do so in whole
// seconds: a second passes before and after.
func (s *stage) rewrite(ctx context.Context) error {
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	s.seed++
	if err := s.on(ctx, "mutate", "-seed", strconv.FormatUint(s.seed, 10)); err != nil {
		return err
	}
	return pause(ctx, time.Second)
}

// check says in the sample whether the destination equals the source. Bytes that
// ETags cannot vouch for are read when content is set, which takes a while.
func (s *stage) check(ctx context.Context, got sample, content bool) (sample, error) {
	said, err := s.step(ctx, "verify", "-src", s.src.endpoint, "-dst", s.dst.endpoint, "-content="+strconv.FormatBool(content))
	if err == nil {
		got.OK, got.Said = true, said
		return got, nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil {
		return got, err
	}
	got.Said = err.Error()
	return got, s.heal(ctx)
}

// heal makes the sides equal again after a tool that did not, where the next run
// counts on it.
func (s *stage) heal(ctx context.Context) error {
	if s.workload.Start == workload.Fresh {
		return nil
	}
	return s.on(ctx, "limit")
}

// requests is how many requests both servers have had, by kind, as far as they tell.
func (s *stage) requests(ctx context.Context) (map[string]int64, error) {
	if s.server != mem {
		return nil, nil
	}
	counts, err := memserver.Requests(ctx, s.src.endpoint)
	if err != nil || s.dst == s.src {
		return counts, err
	}
	more, err := memserver.Requests(ctx, s.dst.endpoint)
	for kind, n := range more {
		counts[kind] += n
	}
	return counts, err
}

// close ends the servers. A stage that did not open to the end may be closed.
func (s *stage) close() {
	if s.dst != nil && s.dst != s.src {
		s.dst.stop()
	}
	if s.src != nil {
		s.src.stop()
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
