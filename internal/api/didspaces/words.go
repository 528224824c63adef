package didspaces

import (
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// action is the one action that is recorded here.
const action = "app-objects-sync"

// actions are all that the client knows.
var actions = []string{"app-disconnected", "app-restore", "app-backup", "app-connected", action}

// The statuses as the client's constants have them.
const (
	statusDefault   = "default" // of old entries; nobody sets it now
	statusSucceeded = "succeeded"
	statusFailed    = "failed"
	statusPending   = "pending"
)

// parsed is a status that a client sent, and the state that it means.
type parsed struct {
	word  string
	state task.JobState
}

// words are the statuses of all editions of the client and of its documentation, in lower
// case.
var words = map[string]parsed{
	"default":   {statusDefault, task.JobDone},
	"succeeded": {statusSucceeded, task.JobDone},
	"success":   {statusSucceeded, task.JobDone},
	"failed":    {statusFailed, task.JobFailed},
	"failure":   {statusFailed, task.JobFailed},
	"canceled":  {statusFailed, task.JobCancelled},
	"pending":   {statusPending, task.JobOpen},
	"initial":   {statusPending, task.JobOpen},
}

const mustBeStatus = "must be one of succeeded, failed, pending, default"

// parseStatus reads a status, in any case.
func parseStatus(word string) (parsed, bool) {
	p, ok := words[strings.ToLower(word)]
	return p, ok
}

// managedWords are what statuses of jobs that Lockstep does are called here.
var managedWords = map[string]string{
	"in_progress": statusPending, "canceling": statusPending, "completed": statusSucceeded, "canceled": statusFailed, "error": statusFailed,
}

// wordOf is the status of an entry, whoever does the job.
func wordOf(status string) string {
	if w, ok := managedWords[status]; ok {
		return w
	}
	return status
}

// storedWords are the statuses that are called word.
func storedWords(word string) []string {
	out := []string{word}
	for _, stored := range []string{"canceled", "canceling", "completed", "error", "in_progress"} {
		if managedWords[stored] == word {
			out = append(out, stored)
		}
	}
	return out
}

// sorts are the fields that a list can be ordered by. All entries have the same
// actionType, so that is no order of its own.
var sorts = map[string]history.ExternalSort{
	"": history.SortCreated, "createdAt": history.SortCreated, "updatedAt": history.SortChanged,
	"status": history.SortStatus, "actionType": history.SortCreated,
}
