package control

import (
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Caller is who asks: a request that was authenticated, or Lockstep itself.
type Caller struct {
	Project task.ProjectID
	Role    task.Role
	Actor   task.Actor
}

// Codes that the dialects answer in ways of their own.
const (
	CodeBadCredentials = "BAD_CREDENTIALS" // nobody is known by them
	CodeRoleDenied     = "ROLE_DENIED"     // known, and not allowed
	CodeRateLimited    = "RATE_LIMITED"    // Unavailable: this client asks too often
)

// right is what a call needs.
type right struct {
	verb  string
	roles []task.Role
}

// allowed names the roles, least first: "viewer, operator or admin".
func (r right) allowed() string {
	var b strings.Builder
	for i, role := range r.roles {
		switch i {
		case 0:
		case len(r.roles) - 1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(role))
	}
	return b.String()
}

// Who may do what. An operator runs tasks; only an admin touches credentials.
var (
	mayRead       = right{"read", []task.Role{task.Viewer, task.Operator, task.Admin}}
	maySend       = right{"send events", []task.Role{task.EventOnly, task.Operator, task.Admin}}
	mayOperate    = right{"change tasks or start jobs", []task.Role{task.Operator, task.Admin}}
	mayAdminister = right{"change endpoints or access keys, or verify the audit chain", []task.Role{task.Admin}}
)

// may refuses a caller whose role does not include a right.
func (c Caller) may(r right) error {
	if slices.Contains(r.roles, c.Role) {
		return nil
	}
	return &task.Error{
		Kind: task.Denied, Code: CodeRoleDenied,
		Text: "an access key of role " + string(c.Role) + " may not " + r.verb,
		Next: "use a key of role " + r.allowed(),
	}
}

func validRole(r task.Role) bool {
	switch r {
	case task.EventOnly, task.Viewer, task.Operator, task.Admin:
		return true
	}
	return false
}

// invalid is an error of a request that is wrong.
func invalid(code, text, next string) error {
	return &task.Error{Kind: task.Invalid, Code: code, Text: text, Next: next}
}

// notFound is the answer for what does not exist, or is another project's.
func notFound(code, text, next string) error {
	return &task.Error{Kind: task.NotFound, Code: code, Text: text, Next: next}
}
