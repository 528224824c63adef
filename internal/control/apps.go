package control

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/did"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// CodeAppUnknown is the code of an app that is registered to no project.
const CodeAppUnknown = "APP_NOT_REGISTERED"

// RegisterApp lets an app report its syncs to the caller's project through the DID Spaces
// dialect; made is false when it could already, and then it is renamed unless name is
// empty. text may begin with did:abt:. Conflict: another project has it.
func (c *Control) RegisterApp(ctx context.Context, who Caller, text, name string) (a task.App, made bool, err error) {
	if err := who.may(mayAdminister); err != nil {
		return task.App{}, false, err
	}
	address, err := did.Parse(strings.TrimSpace(text))
	if err != nil {
		return task.App{}, false, invalid("BAD_DID", "the DID is no address: a character is wrong or missing", "give it as the app shows it, e.g. did:abt:zNK…")
	}
	if len(name) > maxName || !utf8.ValidString(name) {
		return task.App{}, false, invalid("BAD_NAME", "the name of the app is too long or no UTF-8", "use at most 255 bytes")
	}
	a, made, err = c.store.RegisterApp(ctx, task.App{DID: address.String(), Project: who.Project, Name: name}, who.Actor)
	if task.KindOf(err) == task.Conflict {
		err = &task.Error{
			Kind: task.Conflict, Code: "APP_TAKEN", Text: "the app is registered to another project",
			Next: "remove it there first",
		}
	}
	return a, made, err
}

// bareDID is the form in which the store keeps a DID.
func bareDID(text string) string {
	text = strings.TrimSpace(text)
	if a, err := did.Parse(text); err == nil {
		return a.String()
	}
	return text
}

// Apps returns the apps of the caller's project, oldest first.
func (c *Control) Apps(ctx context.Context, who Caller) ([]task.App, error) {
	if err := who.may(mayRead); err != nil {
		return nil, err
	}
	if who.Project == "" {
		return nil, errNoProject
	}
	return c.store.Apps(ctx, who.Project)
}

// RemoveApp lets an app report no more; what it reported stays. NotFound.
func (c *Control) RemoveApp(ctx context.Context, who Caller, text string) error {
	if err := who.may(mayAdminister); err != nil {
		return err
	}
	err := c.store.RemoveApp(ctx, who.Project, bareDID(text), who.Actor)
	if task.KindOf(err) == task.NotFound {
		return notFound("APP_NOT_FOUND", "there is no such app", "list them with: lockstep app list")
	}
	return err
}

// EnterApp says as whom an app asks whose signature its dialect has verified. Denied:
// it is registered to no project.
func (c *Control) EnterApp(ctx context.Context, text string) (Caller, task.App, error) {
	a, err := c.store.App(ctx, bareDID(text))
	if task.KindOf(err) == task.NotFound {
		return Caller{}, task.App{}, &task.Error{
			Kind: task.Denied, Code: CodeAppUnknown, Text: "the app is registered to no project",
			Next: "register it with: lockstep app add " + bareDID(text),
		}
	}
	if err != nil {
		return Caller{}, task.App{}, err
	}
	return Caller{Project: a.Project, Role: task.Operator, Actor: task.Actor{Key: task.KeyID("did:abt:" + a.DID), Dialect: task.DIDSpaces}}, a, nil
}
