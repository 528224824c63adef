package elastic

import (
	"bytes"
	"slices"

	"github.com/lockstep-sync/lockstep/internal/history"
)

// family is whether an update reads the connector before it writes. One that does not
// goes through on deleted connectors too.
type family bool

const (
	blind     family = false
	readFirst family = true
)

// change changes a connector's document and writes it to the audit chain.
func (a *API) change(c *call, fam family, f func(document) error) (answer, error) {
	return a.update(c, fam, f, func(id string, g func(*history.Connector) error) error {
		return a.control.ChangeConnector(c.Context(), c.who, id, "connector."+c.route.action, g)
	})
}

// report takes what the connector's program tells of its work.
func (a *API) report(c *call, f func(document) error) (answer, error) {
	return a.update(c, blind, f, func(id string, g func(*history.Connector) error) error {
		return a.control.ReportConnector(c.Context(), c.who, id, g)
	})
}

func (a *API) update(c *call, fam family, f func(document) error, by func(string, func(*history.Connector) error) error) (answer, error) {
	if err := a.refuseManaged(c, c.id); err != nil {
		return answer{}, err
	}
	var word string
	err := by(c.id, func(n *history.Connector) error {
		if fam == readFirst && n.Deleted {
			return missingConnector(c.id)
		}
		doc, err := decodeDocument(n.Doc)
		if err != nil {
			return internal(c.Context(), a.log, err)
		}
		before, err := encode(doc)
		if err != nil {
			return err
		}
		if err := f(doc); err != nil {
			return err
		}
		if err := checkTexts(doc); err != nil {
			return err
		}
		old := n.Doc
		if err := fill(n, doc); err != nil {
			return err
		}
		if err := checkGrowth(before, n.Doc); err != nil {
			return err
		}
		if word = "updated"; bytes.Equal(before, n.Doc) {
			word, n.Doc = "noop", old
		}
		return nil
	})
	if err != nil {
		absent := missingDocument(c.id)
		if fam == readFirst {
			absent = missingConnector(c.id)
		}
		return answer{}, notFoundAs(err, absent)
	}
	return result(word)
}

// checkIn notes that the connector's program lives.
func (a *API) checkIn(c *call) (answer, error) {
	return a.report(c, func(doc document) error {
		doc["last_seen"] = formatDate(doc.nextSeen(a.now()))
		return nil
	})
}

var nameShape = shape{name: "connector_update_name_request", fields: map[string]token{
	"name": tokString | tokNull, "description": tokString | tokNull,
}}

func (a *API) updateName(c *call) (answer, error) {
	in, err := nameShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	out, err := a.setTexts(c, in, "[name] and [description] cannot both be [null]. Please provide a value for at least one of them.", "name", "description")
	if err != nil {
		return answer{}, err
	}
	return out, a.expectAgain(c, c.id)
}

var apiKeyShape = shape{name: "connector_update_api_key_id_request", fields: map[string]token{
	"api_key_id": tokString | tokNull, "api_key_secret_id": tokString | tokNull,
}}

func (a *API) updateAPIKeyID(c *call) (answer, error) {
	in, err := apiKeyShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	return a.setTexts(c, in, "[api_key_id] and [api_key_secret_id] cannot both be [null]. Please provide a value for at least one of them.",
		"api_key_id", "api_key_secret_id")
}

// setTexts sets those of the fields that are given; none is refused.
func (a *API) setTexts(c *call, in *input, none string, names ...string) (answer, error) {
	set := map[string]any{}
	for _, name := range names {
		if s, given := in.text(name); given {
			set[name] = s
		}
	}
	if len(set) == 0 {
		return answer{}, notValid(none)
	}
	return a.change(c, blind, func(doc document) error {
		doc.merge(set)
		return nil
	})
}

var errorShape = shape{
	name:   "connector_update_error_request",
	fields: map[string]token{"error": tokString | tokNull}, required: []string{"error"},
}

// updateError sets the error of a connector, or with null or an empty text takes it away.
// A cleared error is absent afterwards: typed clients read a null as the text "null".
func (a *API) updateError(c *call) (answer, error) {
	in, err := errorShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	text, _ := in.text("error")
	return a.change(c, blind, func(doc document) error {
		if text == "" {
			delete(doc, "error")
			doc["status"] = connected
			return nil
		}
		doc["error"], doc["status"] = text, erroneous
		return nil
	})
}

var statusShape = shape{
	name:   "connector_update_status_request",
	fields: map[string]token{"status": tokString}, required: []string{"status"},
}

func (a *API) updateStatus(c *call) (answer, error) {
	in, err := statusShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	next, _, err := in.word("status", "ConnectorStatus", connectorStates)
	if err != nil {
		return answer{}, err
	}
	return a.change(c, readFirst, func(doc document) error {
		now := doc.text("status")
		if !slices.Contains(becomes[now], next) {
			return badState("Invalid transition attempt from [%s] to [%s]. Such a status transition is not supported by the Connector Protocol.", now, next)
		}
		doc["status"] = next
		return nil
	})
}

var serviceTypeShape = shape{
	name:   "connector_update_service_type_request",
	fields: map[string]token{"service_type": tokString}, required: []string{"service_type"},
}

func (a *API) updateServiceType(c *call) (answer, error) {
	in, err := serviceTypeShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	kind, _ := in.text("service_type")
	return a.change(c, readFirst, func(doc document) error {
		doc["service_type"] = kind
		if doc.text("status") != created {
			doc["status"] = needsConfiguration
		}
		return nil
	})
}
