package db

import (
	"context"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

const notificationColumns = "id, project, url, events, sealed, created_at, sent_at, error"

func scanNotification(r rows, more ...any) (n task.Notification, err error) {
	var events string
	var sealed []byte
	var created, sent int64
	err = r.Scan(append([]any{&n.ID, &n.Project, &n.URL, &events, &sealed, &created, &sent, &n.Error}, more...)...)
	for e := range strings.FieldsSeq(events) {
		n.Events = append(n.Events, task.NoticeEvent(e))
	}
	n.Sealed, n.CreatedAt, n.SentAt = append([]byte(nil), sealed...), fromMicros(created), fromMicros(sent)
	return n, err
}

// CreateNotification stores where a project is told of trouble.
func (s *Store) CreateNotification(ctx context.Context, n task.Notification, by task.Actor) (task.Notification, error) {
	n.CreatedAt = s.now()
	events := make([]string, len(n.Events))
	for i, e := range n.Events {
		events[i] = string(e)
	}
	err := s.change(ctx, func(ctx context.Context, t *txn) error {
		if _, err := t.exec(ctx, "INSERT INTO notifications (id, project, url, events, sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
			n.ID, string(n.Project), n.URL, strings.Join(events, " "), n.Sealed, micros(n.CreatedAt)); err != nil {
			return err
		}
		return t.audit(ctx, by, n.Project, "notification.create", n.ID, map[string]any{"events": n.Events})
	})
	return n, err
}

// Notifications returns where a project is told of trouble.
func (s *Store) Notifications(ctx context.Context, project task.ProjectID) (out []task.Notification, err error) {
	err = s.read(ctx, func(ctx context.Context, t *txn) error {
		out, err = readNotifications(ctx, t, project)
		return err
	})
	return out, err
}

func readNotifications(ctx context.Context, t *txn, project task.ProjectID) (out []task.Notification, err error) {
	err = each(ctx, t, "SELECT "+notificationColumns+" FROM notifications WHERE project = $1 ORDER BY created_at, id", []any{string(project)}, func(r rows) error {
		n, err := scanNotification(r)
		out = append(out, n)
		return err
	})
	return out, err
}

// DeleteNotification takes one away, with what is still to be told there. NotFound.
func (s *Store) DeleteNotification(ctx context.Context, project task.ProjectID, id string, by task.Actor) error {
	return s.change(ctx, func(ctx context.Context, t *txn) error {
		n, err := t.exec(ctx, "DELETE FROM notifications WHERE project = $1 AND id = $2", string(project), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return task.Errorf(task.NotFound, "there is no such notification")
		}
		if _, err := t.exec(ctx, "DELETE FROM notices WHERE notification = $1", id); err != nil {
			return err
		}
		return t.audit(ctx, by, project, "notification.delete", id, nil)
	})
}
