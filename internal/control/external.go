package control

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// External jobs are done by somebody else's program and reported through a dialect, that
// of the caller's Actor: it sees and changes those alone that were reported through it.

// externalStore keeps external jobs and the apps that may report them. What the methods
// promise is said where they are implemented.
type externalStore interface {
	ReportExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, r history.ExternalReport, by task.Actor) (history.ExternalJob, error)
	UpdateExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID, by task.Actor, f func(*history.ExternalJob) error) (history.ExternalJob, error)
	DeleteExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID, by task.Actor) error
	ExternalJob(ctx context.Context, project task.ProjectID, origin task.Dialect, id task.JobID) (history.ExternalJob, error)
	ExternalJobs(ctx context.Context, project task.ProjectID, f history.ExternalFilter, offset, limit int) ([]history.ExternalJob, int64, error)
	ExternalTally(ctx context.Context, project task.ProjectID) ([]history.ExternalTally, error)
	TaskSyncs(ctx context.Context, project task.ProjectID, ids []task.ID) (map[task.ID]history.TaskSync, error)

	ExpectExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, subject, name string, every time.Duration) error
	ForgetExternal(ctx context.Context, project task.ProjectID, origin task.Dialect, subject string) error
	ExternalSubject(ctx context.Context, project task.ProjectID, origin task.Dialect, subject string) (history.ExternalSubject, error)
	ExternalSubjects(ctx context.Context, project task.ProjectID, limit int) ([]history.ExternalSubject, error)

	RegisterApp(ctx context.Context, a task.App, by task.Actor) (task.App, bool, error)
	App(ctx context.Context, did string) (task.App, error)
	Apps(ctx context.Context, project task.ProjectID) ([]task.App, error)
	RemoveApp(ctx context.Context, project task.ProjectID, did string, by task.Actor) error
}

var mayReport = right{"report syncs", []task.Role{task.Operator, task.Admin}}

// CodePageTooFar is the code of a page beyond history.MaxExternalRow.
const CodePageTooFar = "PAGE_TOO_FAR"

// maxExternalWord bounds ids, subjects and words of dialects, in bytes: they are indexed.
const maxExternalWord = 512

// ReportExternal records a job of the caller's dialect. Conflict: its id is taken.
func (c *Control) ReportExternal(ctx context.Context, who Caller, r history.ExternalReport) (history.ExternalJob, error) {
	if err := who.may(mayReport); err != nil {
		return history.ExternalJob{}, err
	}
	if err := checkExternal(who, string(r.ID), r.Subject, r.Type, r.Status, r.Counts); err != nil {
		return history.ExternalJob{}, err
	}
	return c.store.ReportExternal(ctx, who.Project, who.Actor.Dialect, r, who.Actor)
}

// UpdateExternal changes a job of the caller's dialect as f says, in one transaction with
// the reading of it; f may run several times, and its error is returned as it is. What f
// makes no change to is not written. The id, project and dialect stay. NotFound.
func (c *Control) UpdateExternal(ctx context.Context, who Caller, id task.JobID, f func(*history.ExternalJob) error) (history.ExternalJob, error) {
	if err := who.may(mayReport); err != nil {
		return history.ExternalJob{}, err
	}
	if !possibleID(id) {
		return history.ExternalJob{}, errNoExternal
	}
	j, err := c.store.UpdateExternal(ctx, who.Project, who.Actor.Dialect, id, who.Actor, func(j *history.ExternalJob) error {
		if err := f(j); err != nil {
			return err
		}
		return checkExternal(who, string(j.ID), j.Subject, j.Type, j.Status, j.Counts)
	})
	return j, externalNotFound(err)
}

// DeleteExternal takes a job of the caller's dialect away. NotFound.
func (c *Control) DeleteExternal(ctx context.Context, who Caller, id task.JobID) error {
	if err := who.may(mayReport); err != nil {
		return err
	}
	if !possibleID(id) {
		return errNoExternal
	}
	return externalNotFound(c.store.DeleteExternal(ctx, who.Project, who.Actor.Dialect, id, who.Actor))
}

// ExternalJob returns a job as the caller's dialect lists it: reported through it, or done
// by Lockstep. NotFound.
func (c *Control) ExternalJob(ctx context.Context, who Caller, id task.JobID) (history.ExternalJob, error) {
	if err := who.may(mayRead); err != nil {
		return history.ExternalJob{}, err
	}
	if !possibleID(id) {
		return history.ExternalJob{}, errNoExternal
	}
	j, err := c.store.ExternalJob(ctx, who.Project, who.Actor.Dialect, id)
	if task.KindOf(err) == task.NotFound {
		j, err = c.store.ExternalJob(ctx, who.Project, "", id)
	}
	return j, externalNotFound(err)
}

// ExternalJobs returns up to limit rows of a list from offset on, and how many the list
// has. Invalid: the page ends beyond history.MaxExternalRow. The filter's Origin is that
// of the caller's dialect, or empty.
func (c *Control) ExternalJobs(ctx context.Context, who Caller, f history.ExternalFilter, offset, limit int) ([]history.ExternalJob, int64, error) {
	if err := who.may(mayRead); err != nil {
		return nil, 0, err
	}
	if offset < 0 || limit < 0 || offset > history.MaxExternalRow-limit {
		return nil, 0, invalid(CodePageTooFar, "a list gives its first "+strconv.Itoa(history.MaxExternalRow)+" rows",
			"narrow the list, or turn its order around")
	}
	if f.Origin != "" && f.Origin != who.Actor.Dialect {
		return nil, 0, task.Errorf(task.Internal, "dialect %s lists jobs of %s", who.Actor.Dialect, f.Origin)
	}
	return c.store.ExternalJobs(ctx, who.Project, f, offset, limit)
}

// TaskSyncs returns how the jobs of tasks of the caller's project stand. One that has had
// no job is left out.
func (c *Control) TaskSyncs(ctx context.Context, who Caller, ids []task.ID) (map[task.ID]history.TaskSync, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return c.store.TaskSyncs(ctx, who.Project, ids)
}

// ExternalTally returns how many external jobs of the caller's project there are.
func (c *Control) ExternalTally(ctx context.Context, who Caller) ([]history.ExternalTally, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	return c.store.ExternalTally(ctx, who.Project)
}

// ExpectExternal says what a subject of the caller's dialect is called, and how often it
// is to sync: lateness goes by it. 0: nobody knows.
func (c *Control) ExpectExternal(ctx context.Context, who Caller, subject, name string, every time.Duration) error {
	if err := who.may(mayReport); err != nil {
		return err
	}
	if err := checkExternal(who, "", subject, "", "", task.Counts{}); err != nil {
		return err
	}
	return c.store.ExpectExternal(ctx, who.Project, who.Actor.Dialect, subject, name, max(0, every))
}

// ForgetExternal takes a subject of the caller's dialect away; its jobs stay.
func (c *Control) ForgetExternal(ctx context.Context, who Caller, subject string) error {
	if err := who.may(mayReport); err != nil {
		return err
	}
	return c.store.ForgetExternal(ctx, who.Project, who.Actor.Dialect, subject)
}

// ExternalSubject returns what is known of a subject of the caller's dialect. NotFound.
func (c *Control) ExternalSubject(ctx context.Context, who Caller, subject string) (history.ExternalSubject, error) {
	if err := who.may(mayRead); err != nil {
		return history.ExternalSubject{}, err
	}
	return c.store.ExternalSubject(ctx, who.Project, who.Actor.Dialect, subject)
}

// ExternalSubjects returns up to limit subjects of all dialects in the caller's project,
// those that reported last first.
func (c *Control) ExternalSubjects(ctx context.Context, who Caller, limit int) ([]history.ExternalSubject, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	return c.store.ExternalSubjects(ctx, who.Project, limit)
}

var errNoExternal = notFound("JOB_NOT_FOUND", "there is no such job", "list them with: lockstep job list --kind external")

func externalNotFound(err error) error {
	if task.KindOf(err) == task.NotFound {
		return errNoExternal
	}
	return err
}

// possibleID says whether a job can have this id: a database takes no NUL and nothing
// that is no UTF-8 in text.
func possibleID(id task.JobID) bool { return checkWord(string(id)) == nil }

// checkWord refuses an id, a subject or a word of a dialect that cannot be kept.
func checkWord(word string) error {
	switch {
	case strings.ContainsRune(word, 0):
		return invalid("BAD_TEXT", "a name holds a NUL character", "leave it out")
	case len(word) > maxExternalWord || !utf8.ValidString(word):
		return invalid("BAD_TEXT", "a name is longer than "+strconv.Itoa(maxExternalWord)+" bytes or no UTF-8", "use a shorter one")
	}
	return nil
}

// checkExternal refuses what no dialect should hand on.
func checkExternal(who Caller, id, subject, kind, status string, n task.Counts) error {
	if who.Project == "" {
		return errNoProject
	}
	if who.Actor.Dialect == "" {
		return task.Errorf(task.Internal, "an external job of no dialect")
	}
	for _, word := range []string{id, subject, kind, status} {
		if err := checkWord(word); err != nil {
			return err
		}
	}
	if err := n.Check(); err != nil {
		return &task.Error{Kind: task.Invalid, Code: "BAD_COUNTS", Text: err.Error(), Next: "report figures that add up"}
	}
	return nil
}
