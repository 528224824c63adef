package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Role is which part of the service a process runs.
type Role string

// The roles.
const (
	RoleAll    Role = "all"    // answers clients and works
	RoleAPI    Role = "api"    // answers clients
	RoleWorker Role = "worker" // works, and answers for itself alone
)

const maxRestoreWait = 7 * 24 * time.Hour

// Serve says how a service runs.
type Serve struct {
	Data     string // directory of the SQLite database, the sealing key and the first access key
	Listen   string // host:port; port 0 takes a free one
	Database string // postgres://…; "" is SQLite in Data
	Migrate  bool   // a PostgreSQL schema that holds data may be migrated
	Role     Role

	SealKey     string // the key itself, from the environment; wins over SealKeyFile
	SealKeyFile string // "" is seal.key in Data
	// AllowDirs are the directories that endpoints of provider file may be below; empty:
	// any, since only an admin makes endpoints.
	AllowDirs []string

	// DIDSpacesOpen registers an app of the DID Spaces dialect to Project at its first
	// signed request; else an admin registers each.
	DIDSpacesOpen bool

	TLSCert, TLSKey string // PEM files; both or none

	OMS  OMS
	Keep Keep
	// KeyRate is how many requests a second one access key may make; 0: 10,000.
	KeyRate float64
	// VerifySkew is how far the clock of a destination may be behind that of its source
	// when a task checks the times of its copies.
	VerifySkew time.Duration
	// RestoreWait is how long a key waits for its object to come back from an archive;
	// 0: 3 minutes.
	RestoreWait time.Duration

	Project   task.ProjectID // of the first access key
	AccessKey task.KeyID     // the first access key; empty: one is made
	SecretKey secret.String
}

// OMS says how the OMS dialect answers.
type OMS struct {
	EventKeys  int      // most keys of one request of events; 0: 10
	KeyForm    string   // how they are encoded: form or path; "" is form
	MaxTasks   int      // of a project; 0: no limit
	AllowHosts []string // hosts of stores that clients may name by their address, and of CDNs of sources
	// UnsignedPayload takes signatures that say that they leave the body out.
	UnsignedPayload bool
}

func (o *OMS) check() error {
	switch {
	case o.EventKeys < 0 || o.EventKeys > 100:
		return invalid("BAD_OMS_EVENT_KEYS", "a request of events has 1 to 100 keys", "leave --oms-event-keys out for 10")
	case o.KeyForm != "" && o.KeyForm != "form" && o.KeyForm != "path":
		return invalid("BAD_OMS_KEYS", fmt.Sprintf("%q is no encoding of keys", o.KeyForm), "use form (+ is a space) or path (+ is a plus)")
	case o.MaxTasks < 0:
		return invalid("BAD_OMS_MAX_TASKS", "a limit of tasks is below zero", "leave --oms-max-tasks out for none")
	}
	for _, h := range o.AllowHosts {
		if h == "" || strings.ContainsAny(h, "/@ ") {
			return invalid("BAD_OMS_ALLOW_HOST", fmt.Sprintf("%q is no host", h), "write HOST, HOST:PORT or *.DOMAIN")
		}
	}
	return nil
}

// Check completes and validates the settings. Errors are *task.Error of kind Invalid.
func (c *Serve) Check() error {
	if c.Project == "" {
		c.Project = "default"
	}
	if c.Role == "" {
		c.Role = RoleAll
	}
	if c.Data == "" {
		return invalid("NO_DATA", "no data directory is named", "give --data DIR")
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return invalid("BAD_DATA", fmt.Sprintf("the data directory %s cannot be found: %v", c.Data, err), "give an absolute path")
	}
	c.Data = data
	if c.SealKeyFile == "" {
		c.SealKeyFile = filepath.Join(c.Data, "seal.key")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return invalid("BAD_LISTEN", fmt.Sprintf("%q is no address to listen on: %v", c.Listen, err), "give --listen HOST:PORT, e.g. 127.0.0.1:8321")
	}
	switch c.Role {
	case RoleAll, RoleAPI, RoleWorker:
	default:
		return invalid("BAD_ROLE", fmt.Sprintf("there is no role %q", c.Role), "use all, api or worker")
	}
	if c.Role != RoleAll && c.Database == "" {
		return invalid("ROLE_NEEDS_DATABASE", "roles api and worker share a database, and SQLite is for one process", "give --database postgres://…, or use role all")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return invalid("TLS_INCOMPLETE", "a certificate and its key go together", "give both --tls-cert and --tls-key")
	}
	if (c.AccessKey == "") != c.SecretKey.Empty() {
		return invalid("KEY_INCOMPLETE", "LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY go together", "set both, or none to have a key made")
	}
	if err := c.Keep.check(); err != nil {
		return err
	}
	return c.checkRest()
}

func (c *Serve) checkRest() error {
	if c.Database != "" {
		// The URL holds a password: it is never repeated.
		u, err := url.Parse(c.Database)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
			return invalid("BAD_DATABASE", "the database is not postgres://USER:PASSWORD@HOST/NAME", "leave --database out to use SQLite")
		}
	}
	for i, d := range c.AllowDirs {
		if !strings.HasPrefix(d, "/") {
			return invalid("BAD_ALLOW_DIR", fmt.Sprintf("the directory %q is not absolute", d), "give --allow-dir an absolute path")
		}
		c.AllowDirs[i] = filepath.Clean(d)
	}
	if c.VerifySkew < 0 {
		return invalid("BAD_VERIFY_SKEW", "clocks differ by less than nothing", "give --verify-skew a duration, e.g. 2s")
	}
	if c.RestoreWait < 0 || c.RestoreWait > maxRestoreWait {
		return invalid("BAD_RESTORE_WAIT", "nothing is waited for longer than a week", "give --restore-wait a duration, e.g. 12h")
	}
	return c.OMS.check()
}
