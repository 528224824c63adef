package control

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// A task goes between its states as follows; a move to the state it has does nothing.
//
//	          active    paused    stopped
//	pause     paused    -         refused
//	resume    -         active    refused
//	stop      stopped   stopped   -
//	start     -         refused   active

// PauseTask lets a task accept events and keep them.
func (c *Control) PauseTask(ctx context.Context, who Caller, ref string) (task.Task, error) {
	return c.move(ctx, who, ref, task.Paused, task.Stopped, "the task is stopped", "start it, then pause it")
}

// ResumeTask lets a paused task work again.
func (c *Control) ResumeTask(ctx context.Context, who Caller, ref string) (task.Task, error) {
	return c.move(ctx, who, ref, task.Active, task.Stopped, "the task is stopped", "start it")
}

// StopTask lets a task refuse events and work no more.
func (c *Control) StopTask(ctx context.Context, who Caller, ref string) (task.Task, error) {
	return c.move(ctx, who, ref, task.Stopped, "", "", "")
}

// StartTask lets a stopped task work again.
func (c *Control) StartTask(ctx context.Context, who Caller, ref string) (task.Task, error) {
	return c.move(ctx, who, ref, task.Active, task.Paused, "the task is paused", "resume it")
}

// move brings a task to a state, unless it is in the one that refuses the move.
func (c *Control) move(ctx context.Context, who Caller, ref string, to, refused task.State, text, next string) (task.Task, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Task{}, err
	}
	k, err := c.task(ctx, who, ref)
	if err != nil || k.State == to {
		return k, err
	}
	return c.updateTask(ctx, who, string(k.ID), 0, func(k *task.Task) error {
		if k.State == refused {
			code := "TASK_STOPPED"
			if refused == task.Paused {
				code = "TASK_PAUSED"
			}
			return &task.Error{Kind: task.Conflict, Code: code, Text: text, Next: next}
		}
		if to == task.Active {
			if err := c.mayWork(ctx, *k); err != nil {
				return err
			}
		}
		k.State = to
		return nil
	})
}
