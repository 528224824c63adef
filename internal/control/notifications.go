package control

import (
	"context"
	"net/url"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// notificationStore keeps where projects are told of trouble.
type notificationStore interface {
	CreateNotification(ctx context.Context, n task.Notification, by task.Actor) (task.Notification, error)
	Notifications(ctx context.Context, project task.ProjectID) ([]task.Notification, error)
	DeleteNotification(ctx context.Context, project task.ProjectID, id string, by task.Actor) error
}

// maxNotifications is how many a project has at most: each trouble is sent to all.
const maxNotifications = 20

var noticeEvents = []task.NoticeEvent{task.NoticeJobFailed, task.NoticeGuardStopped, task.NoticeScheduleSkipped, task.NoticeRecovered}

// CreateNotification has the caller's project told of trouble at a URL; no events: of all.
// The key that notices are signed with is returned this once.
func (c *Control) CreateNotification(ctx context.Context, who Caller, address string, events []task.NoticeEvent) (task.Notification, secret.String, error) {
	if err := who.may(mayAdminister); err != nil {
		return task.Notification{}, secret.String{}, err
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(address) > 2048 {
		return task.Notification{}, secret.String{}, invalid("BAD_URL", "the address is not http(s)://HOST/…", "name where notices are posted to, without user and password")
	}
	for _, e := range events {
		if !slices.Contains(noticeEvents, e) {
			return task.Notification{}, secret.String{}, invalid("BAD_EVENT", "there is no such event", "use job.failed, guard.stopped, schedule.skipped or recovered")
		}
	}
	all, err := c.store.Notifications(ctx, who.Project)
	if err != nil {
		return task.Notification{}, secret.String{}, err
	}
	if len(all) >= maxNotifications {
		return task.Notification{}, secret.String{}, &task.Error{Kind: task.Conflict, Code: "TOO_MANY_NOTIFICATIONS", Text: "the project has 20 notifications", Next: "delete one first"}
	}
	n := task.Notification{ID: string(task.NewID()), Project: who.Project, URL: address, Events: events}
	key := newSecret()
	n.Sealed = c.cfg.Box.Seal(noticePurpose(n.ID), []byte(key.Reveal()))
	n, err = c.store.CreateNotification(ctx, n, who.Actor)
	return n, key, err
}

// Notifications returns where the caller's project is told of trouble.
func (c *Control) Notifications(ctx context.Context, who Caller) ([]task.Notification, error) {
	if err := who.may(mayAdminister); err != nil {
		return nil, err
	}
	return c.store.Notifications(ctx, who.Project)
}

// DeleteNotification ends one.
func (c *Control) DeleteNotification(ctx context.Context, who Caller, id string) error {
	if err := who.may(mayAdminister); err != nil {
		return err
	}
	err := c.store.DeleteNotification(ctx, who.Project, id, who.Actor)
	if task.KindOf(err) == task.NotFound {
		return notFound("NOTIFICATION_NOT_FOUND", "there is no such notification", "list them with: GET /api/v1/notifications")
	}
	return err
}

func noticePurpose(id string) string { return "notification:" + id }

// OpenNotification returns the key that notices of n are signed with.
func OpenNotification(box *secret.Box, n task.Notification) ([]byte, error) {
	return box.Open(noticePurpose(n.ID), n.Sealed)
}
