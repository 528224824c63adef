package history

import (
	"time"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Connector is a sync that another program does and tells of: what it is called, what it
// syncs into, and the document that its dialect keeps of it.
type Connector struct {
	Project task.ProjectID
	ID      string
	// IndexName is where it syncs to; empty: nowhere yet. No two connectors of a project
	// that are not deleted have the same.
	IndexName   string
	Name        string
	ServiceType string
	Description string
	Deleted     bool   // kept, and shown only to those who ask for it
	Doc         []byte // a JSON object
	ChangedAt   time.Time
}

// A task is listed among the connectors of its project, since it is a sync as well: under
// this type, and syncing into this name followed by its id.
const (
	ManagedServiceType = "lockstep"
	ManagedIndexPrefix = "lockstep-"
)

// ConnectorFilter selects connectors, tasks among them; empty fields select all.
type ConnectorFilter struct {
	IndexNames   []string // any of these; so are Names and ServiceTypes
	Names        []string
	ServiceTypes []string
	// Match looks at what is left, one by one; nil: all.
	Match func(indexName, name, description string) bool
	// Deleted adds those that are deleted.
	Deleted bool
	From    int // how many come before the page
	Size    int // of the page
}

// MaxConnectorRow is how deep a list of connectors may be paged into.
const MaxConnectorRow = 10_000

// ConnectorRow is one of a list: a connector, or a task.
type ConnectorRow struct {
	Task      *task.Task // nil: it is a connector
	Connector Connector
}
