package elastic

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// The states of a connector.
const (
	created            = "created"
	needsConfiguration = "needs_configuration"
	configured         = "configured"
	connected          = "connected"
	erroneous          = "error"
)

var connectorStates = []string{created, needsConfiguration, configured, connected, erroneous}

// becomes says which state of a connector may follow which.
var becomes = map[string][]string{
	created:            {needsConfiguration, erroneous},
	needsConfiguration: {configured, erroneous},
	configured:         {needsConfiguration, configured, connected, erroneous},
	connected:          {connected, configured, erroneous},
	erroneous:          {connected, configured, erroneous},
}

// newConnector is a connector's document before anybody changed it.
func newConnector(now time.Time) document {
	schedule := func() map[string]any { return map[string]any{"enabled": false, "interval": "0 0 0 * * ?"} }
	return document{
		"name": "", "is_native": false, "status": created, "sync_now": false, "deleted": false,
		"configuration": map[string]any{}, "custom_scheduling": map[string]any{},
		"scheduling": map[string]any{"access_control": schedule(), "full": schedule(), "incremental": schedule()},
		"filtering":  []any{map[string]any{"domain": "DEFAULT", "active": newFilter(now), "draft": newFilter(now)}},
	}
}

func newFilter(now time.Time) map[string]any {
	at := formatDate(now)
	return map[string]any{
		"advanced_snippet": map[string]any{"created_at": at, "updated_at": at, "value": map[string]any{}},
		"rules":            []any{defaultRule(0, at, at)},
		"validation":       map[string]any{"errors": []any{}, "state": "valid"},
	}
}

// defaultRule ends every list of rules.
func defaultRule(order int64, createdAt, updatedAt string) map[string]any {
	return map[string]any{
		"id": defaultRuleID, "field": "_", "order": number(order), "policy": "include", "rule": "regex", "value": ".*",
		"created_at": createdAt, "updated_at": updatedAt,
	}
}

const defaultRuleID = "DEFAULT"

// newID makes an id of 20 characters that need no escaping, and no quotes on a command
// line.
func newID() string {
	var b [15]byte
	rand.Read(b[:])
	b[0] &= 0x7f // the first is a letter
	return base64.RawURLEncoding.EncodeToString(b[:])
}

var putShape = shape{name: "connector_put_request", fields: map[string]token{
	"description": tokString, "index_name": tokString | tokNull, "is_native": tokBool | tokString,
	"language": tokString, "name": tokString, "service_type": tokString,
}}

// createConnector makes a connector, or makes one anew.
func (a *API) createConnector(c *call) (answer, error) {
	doc := newConnector(a.now().Truncate(time.Millisecond))
	if len(c.body) > 0 {
		in, err := putShape.read(c.body)
		if err != nil {
			return answer{}, err
		}
		for _, name := range []string{"description", "index_name", "language", "name", "service_type"} {
			if s, given := in.text(name); given {
				doc[name] = s
			}
		}
		native, err := in.truth("is_native")
		if err != nil {
			return answer{}, err
		}
		if doc["is_native"] = native; native {
			doc["status"] = needsConfiguration
		}
	}
	if err := checkTexts(doc); err != nil {
		return answer{}, err
	}
	if err := a.checkIndexName(c, doc); err != nil {
		return answer{}, err
	}
	id := c.id
	if id == "" {
		id = newID()
	} else if err := a.refuseManaged(c, id); err != nil {
		return answer{}, err
	}
	n := history.Connector{ID: id}
	if err := fill(&n, doc); err != nil {
		return answer{}, err
	}
	made, err := a.control.PutConnector(c.Context(), c.who, n)
	if err != nil {
		return answer{}, indexNameTaken(err, doc)
	}
	if err := a.expect(c, n); err != nil {
		return answer{}, err
	}
	if !made {
		return ok(map[string]any{"id": id, "result": "updated"})
	}
	return answer{http.StatusCreated, map[string]any{"id": id, "result": "created"}}, nil
}

// Names and service types are indexed, so they have an end; in bytes.
var longest = map[string]int{"name": 1024, "service_type": 512}

func checkTexts(doc document) error {
	for name, most := range longest {
		if n := len(doc.text(name)); n > most {
			return notValid(fmt.Sprintf("[%s] is too long: it must not be longer than %d bytes but was %d", name, most, n))
		}
	}
	return nil
}

// fill sets what is stored of a document.
func fill(n *history.Connector, doc document) error {
	raw, err := encode(doc)
	n.IndexName, n.Name, n.ServiceType, n.Description = doc.text("index_name"), doc.text("name"), doc.text("service_type"), doc.text("description")
	n.Deleted, _ = doc["deleted"].(bool)
	n.Doc = raw
	return err
}

// getConnector answers for a connector or a task.
func (a *API) getConnector(c *call) (answer, error) {
	deleted, err := c.params.truth("include_deleted")
	if err != nil {
		return answer{}, err
	}
	if k, managed, err := a.managed(c, c.id); err != nil {
		return answer{}, err
	} else if managed {
		syncs, err := a.control.TaskSyncs(c.Context(), c.who, []task.ID{k.ID})
		if err != nil {
			return answer{}, err
		}
		return ok(a.managedConnector(k, syncs[k.ID]))
	}
	n, err := a.control.Connector(c.Context(), c.who, c.id)
	if task.KindOf(err) == task.NotFound && err != nil || err == nil && n.Deleted && !deleted {
		return answer{}, missingConnector(c.id)
	}
	if err != nil {
		return answer{}, err
	}
	out, err := withID(n.ID, n.Doc)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// deleteConnector marks a connector deleted, or removes it.
func (a *API) deleteConnector(c *call) (answer, error) {
	hard, err := c.params.truth("hard")
	if err != nil {
		return answer{}, err
	}
	jobs, err := c.params.truth("delete_sync_jobs")
	if err != nil {
		return answer{}, err
	}
	if err := a.refuseManaged(c, c.id); err != nil {
		return answer{}, err
	}
	if jobs {
		// First, so that a call that was cut short can be repeated: of a connector that is
		// gone it would be refused.
		n, err := a.control.Connector(c.Context(), c.who, c.id)
		if err == nil && n.Deleted && !hard {
			err = missingConnector(c.id)
		}
		if err == nil {
			err = a.deleteJobsOf(c)
		}
		if err != nil {
			return answer{}, notFoundAs(err, missingConnector(c.id))
		}
	}
	if hard {
		err = a.control.DeleteConnector(c.Context(), c.who, c.id)
	} else {
		err = a.control.ChangeConnector(c.Context(), c.who, c.id, "connector.delete", func(n *history.Connector) error {
			doc, err := decodeDocument(n.Doc)
			if err != nil {
				return internal(c.Context(), a.log, err)
			}
			if n.Deleted {
				return missingConnector(c.id)
			}
			doc["deleted"] = true
			return fill(n, doc)
		})
	}
	if err != nil {
		return answer{}, notFoundAs(err, missingConnector(c.id))
	}
	if err := a.control.ForgetExternal(c.Context(), c.who, c.id); err != nil {
		return answer{}, err
	}
	return ok(map[string]any{"acknowledged": true})
}

// notFoundAs answers x for what is not there, and other errors as they are.
func notFoundAs(err error, x *exception) error {
	if task.KindOf(err) == task.NotFound {
		return x
	}
	return err
}

// badIndexName says what is wrong with the name of an index; empty: nothing.
func badIndexName(s string) string {
	switch {
	case s == "":
		return "must not be empty"
	case s == "." || s == "..":
		return "must not be '.' or '..'"
	case strings.IndexByte("_-+", s[0]) >= 0:
		return "must not start with '_', '-', or '+'"
	case strings.ContainsAny(s, "\"*\\<|,>/?#: \x00"):
		return `must not contain the following characters ['\','/','*','?','"','<','>','|',' ',',','#',':']`
	case strings.ToLower(s) != s:
		return "must be lowercase"
	case len(s) > 255:
		return "index name is too long"
	}
	return ""
}
