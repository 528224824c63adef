package control

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// connectorStore keeps what other programs' syncs are known by.
type connectorStore interface {
	Connector(ctx context.Context, project task.ProjectID, id string) (history.Connector, error)
	Connectors(ctx context.Context, project task.ProjectID, f history.ConnectorFilter) ([]history.ConnectorRow, int64, error)
	PutConnector(ctx context.Context, c history.Connector, by task.Actor) (created bool, err error)
	UpdateConnector(ctx context.Context, project task.ProjectID, id, action string, by task.Actor, f func(*history.Connector) error) error
	DeleteConnector(ctx context.Context, project task.ProjectID, id string, by task.Actor) error
}

// CodeIndexNameTaken is that of the Conflict when another connector syncs into the same.
const CodeIndexNameTaken = "INDEX_NAME_TAKEN"

// MayReport refuses a caller who may not change connectors or report syncs.
func (c Caller) MayReport() error { return c.may(mayOperate) }

// Connector returns a connector of the caller's project, a deleted one too.
func (c *Control) Connector(ctx context.Context, who Caller, id string) (history.Connector, error) {
	if err := who.may(mayRead); err != nil {
		return history.Connector{}, err
	}
	return c.store.Connector(ctx, who.Project, id)
}

// Connectors returns a page of the connectors of the caller's project, its tasks among
// them, by index name, and how many there are in all.
func (c *Control) Connectors(ctx context.Context, who Caller, f history.ConnectorFilter) ([]history.ConnectorRow, int64, error) {
	if err := who.may(mayRead); err != nil {
		return nil, 0, err
	}
	if f.From < 0 || f.Size < 0 || f.From+f.Size > history.MaxConnectorRow {
		return nil, 0, invalid("PAGE_TOO_DEEP", "a list of connectors ends at 10,000 rows", "filter it")
	}
	return c.store.Connectors(ctx, who.Project, f)
}

// PutConnector makes a connector in the caller's project, or makes one anew that exists;
// created says which. Conflict: another one has its index name.
func (c *Control) PutConnector(ctx context.Context, who Caller, n history.Connector) (created bool, err error) {
	if err := who.may(mayOperate); err != nil {
		return false, err
	}
	n.Project = who.Project
	return c.store.PutConnector(ctx, n, who.Actor)
}

// ChangeConnector changes a connector as f says and writes the action to the audit chain.
// Of changes made at once none is lost; f may run several times.
func (c *Control) ChangeConnector(ctx context.Context, who Caller, id, action string, f func(*history.Connector) error) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	return c.store.UpdateConnector(ctx, who.Project, id, action, who.Actor, f)
}

// ReportConnector takes what a connector's program tells of its work: like
// ChangeConnector for the document alone, and no change for the audit chain.
func (c *Control) ReportConnector(ctx context.Context, who Caller, id string, f func(*history.Connector) error) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	return c.store.UpdateConnector(ctx, who.Project, id, "", who.Actor, f)
}

// DeleteConnector removes a connector of the caller's project for good.
func (c *Control) DeleteConnector(ctx context.Context, who Caller, id string) error {
	if err := who.may(mayOperate); err != nil {
		return err
	}
	return c.store.DeleteConnector(ctx, who.Project, id, who.Actor)
}
