package task

import "time"

// Endpoint is a named store in the registry.
type Endpoint struct {
	ID       EndpointID
	Project  ProjectID
	Provider string
	URL      string
	Region   string
	// Aliases name the endpoint as dialects do, e.g. "AWS/us-east-1".
	Aliases []string
	// Options is the driver's own configuration, a JSON object.
	Options []byte
	// Sealed holds the credentials; only the secret package can open it.
	Sealed    []byte
	CreatedAt time.Time
	ChangedAt time.Time
	Version   int64
}

// Role is what an access key may do.
type Role string

// The roles, each including the ones before it but for EventOnly, which may send
// events and read nothing.
const (
	EventOnly Role = "event-only"
	Viewer    Role = "viewer"
	Operator  Role = "operator"
	Admin     Role = "admin"
)

// AccessKey lets a client in. It belongs to one project.
type AccessKey struct {
	ID      KeyID
	Project ProjectID
	Role    Role
	Name    string
	// Sealed holds the secret, which signatures need in clear; only the secret
	// package can open it.
	Sealed    []byte
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// App is an application that reports its own syncs, known by its DID. It belongs to one
// project.
type App struct {
	DID       string // without did:abt:
	Project   ProjectID
	Name      string
	CreatedAt time.Time
}

// Actor is who asked for a change; it goes to the audit chain.
type Actor struct {
	Key     KeyID   `json:"key,omitempty"` // empty: Lockstep itself
	Dialect Dialect `json:"dialect,omitempty"`
	Address string  `json:"address,omitempty"`
	Request string  `json:"request,omitempty"` // the request id
}
