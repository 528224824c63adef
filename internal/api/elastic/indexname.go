package elastic

import (
	"errors"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// nativePrefix begins the index names of native connectors.
const nativePrefix = "content-"

// checkIndexName refuses a bad index name, one of a task, and one that a native connector
// may not have. Whether another connector has it is seen when it is stored.
func (a *API) checkIndexName(c *call, doc document) error {
	name, given := doc["index_name"].(string)
	if !given {
		return nil
	}
	if why := badIndexName(name); why != "" {
		return notValid("Invalid index name [" + name + "], " + why)
	}
	if native, _ := doc["is_native"].(bool); native && !strings.HasPrefix(name, nativePrefix) {
		return notValid("Index attached to an Elastic-managed connector must start with the prefix: [" + nativePrefix + "]. The index name in the payload [" + name + "] doesn't comply with this requirement.")
	}
	if id, ours := strings.CutPrefix(name, history.ManagedIndexPrefix); ours {
		if _, managed, err := a.managed(c, id); err != nil {
			return err
		} else if managed {
			return usedIndexName(name)
		}
	}
	return nil
}

func usedIndexName(name string) *exception {
	return badState("Index name [%s] is used by another connector.", name)
}

// indexNameTaken words the refusal of control.
func indexNameTaken(err error, doc document) error {
	if e, ok := errors.AsType[*task.Error](err); ok && e.Code == control.CodeIndexNameTaken {
		return usedIndexName(doc.text("index_name"))
	}
	return err
}

var indexNameShape = shape{
	name:   "connector_update_index_name_request",
	fields: map[string]token{"index_name": tokString | tokNull}, required: []string{"index_name"},
}

// updateIndexName attaches a connector to an index, or with null detaches it.
func (a *API) updateIndexName(c *call) (answer, error) {
	in, err := indexNameShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	var value any
	if s, given := in.text("index_name"); given {
		value = s
	}
	if err := a.checkIndexName(c, document{"index_name": value}); err != nil {
		return answer{}, err
	}
	out, err := a.change(c, readFirst, func(doc document) error {
		doc["index_name"] = value
		if native, _ := doc["is_native"].(bool); native && value != nil && !strings.HasPrefix(value.(string), nativePrefix) {
			return badState("Index attached to an Elastic-managed connector must start with the prefix: [%s]. The index name in the payload [%s] doesn't comply with this requirement.", nativePrefix, value)
		}
		return nil
	})
	return out, indexNameTaken(err, document{"index_name": value})
}

var nativeShape = shape{
	name:   "connector_update_native_request",
	fields: map[string]token{"is_native": tokBool | tokString}, required: []string{"is_native"},
}

// updateNative says whether Elastic would run the connector.
func (a *API) updateNative(c *call) (answer, error) {
	in, err := nativeShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	native, err := in.truth("is_native")
	if err != nil {
		return answer{}, err
	}
	return a.change(c, readFirst, func(doc document) error {
		if name := doc.text("index_name"); native && name != "" && !strings.HasPrefix(name, nativePrefix) {
			return badState("The connector [%s] cannot be set to native: its index [%s] does not start with the prefix: [%s].", c.id, name, nativePrefix)
		}
		doc["is_native"] = native
		if doc.text("status") == connected {
			doc["status"] = configured
		}
		return nil
	})
}
