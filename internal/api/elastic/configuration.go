package elastic

import (
	"maps"
	"slices"
	"strings"
)

var configurationShape = shape{name: "connector_update_configuration_request", fields: map[string]token{
	"configuration": tokObject | tokNull, "values": tokObject | tokNull,
}}

// updateConfiguration sets the fields of a configuration, or values of fields that are
// there.
func (a *API) updateConfiguration(c *call) (answer, error) {
	in, err := configurationShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	whole, values := in.get("configuration"), in.get("values")
	hasWhole, hasValues := whole != nil && whole.token != tokNull, values != nil && values.token != tokNull
	switch {
	case hasWhole && hasValues:
		return answer{}, notValid("[configuration] and [values] cannot both be provided in the same request.")
	case hasWhole:
		next, why := readConfiguration(whole)
		if why != nil {
			return answer{}, in.bad("configuration", why)
		}
		return a.change(c, readFirst, func(doc document) error {
			doc["configuration"], doc["status"] = next, configured
			return nil
		})
	case hasValues:
		return a.change(c, readFirst, func(doc document) error { return setValues(doc, values) })
	}
	return answer{}, notValid("[configuration] and [values] cannot both be null.")
}

func setValues(doc document, values *node) error {
	fields := maps.Clone(doc.object("configuration"))
	var unknown []string
	for _, v := range values.fields {
		field := fields.object(v.name)
		if field == nil {
			unknown = append(unknown, v.name)
			continue
		}
		field = maps.Clone(field)
		field["value"] = v.value.value()
		fields[v.name] = map[string]any(field)
	}
	if len(unknown) > 0 {
		return badState("Unknown [configuration] fields in the request payload: [%s]. Remove them from request or register their schema first.", strings.Join(unknown, ", "))
	}
	if fields == nil {
		fields = document{}
	}
	doc["configuration"], doc["status"] = map[string]any(fields), configured
	return nil
}

// configurationTexts are words that a field of a configuration may choose from.
var (
	configurationDisplays    = []string{"textbox", "textarea", "numeric", "toggle", "dropdown"}
	configurationTypes       = []string{"str", "int", "list", "bool"}
	configurationValidations = []string{"less_than", "greater_than", "list_type", "included_in", "regex"}
)

func readConfiguration(n *node) (map[string]any, *exception) {
	out := map[string]any{}
	for _, f := range n.fields {
		value, why := readConfigurationField(f.value)
		if why != nil {
			x := illegalArgument("failed to parse field [%s]", f.name)
			x.cause = why
			return nil, x
		}
		out[f.name] = value
	}
	return out, nil
}

// configurationKinds are the values that members of a field take; other members are
// ignored.
var configurationKinds = map[string]token{
	"category": tokString | tokNull, "default_value": tokString | tokNumber | tokBool | tokNull | tokArray, "depends_on": tokArray | tokNull,
	"display": tokString | tokNull, "label": tokString, "options": tokArray | tokNull, "order": tokNumber | tokNull,
	"placeholder": tokString | tokNull, "required": tokBool | tokNull, "sensitive": tokBool | tokNull, "tooltip": tokString | tokNull,
	"type": tokString | tokNull, "ui_restrictions": tokArray | tokNull, "validations": tokArray | tokNull,
	"value": tokString | tokNumber | tokBool | tokNull | tokObject | tokArray,
}

func readConfigurationField(n *node) (map[string]any, *exception) {
	if n.token != tokObject {
		return nil, illegalArgument("a field of the configuration is an object")
	}
	if label := n.get("label"); label == nil || label.token != tokString {
		return nil, illegalArgument("Required [label]")
	}
	out := map[string]any{}
	for _, f := range n.fields {
		takes, known := configurationKinds[f.name]
		if !known {
			continue
		}
		if takes&f.value.token == 0 {
			return nil, illegalArgument("%s doesn't support values of type: %s", f.name, f.value.token)
		}
		out[f.name] = f.value.value()
	}
	for name, words := range map[string][]string{"display": configurationDisplays, "type": configurationTypes} {
		if s, given := out[name].(string); given {
			if s = strings.ToLower(s); !slices.Contains(words, s) {
				return nil, illegalArgument("Unknown %s: %s", name, out[name])
			}
			out[name] = s
		}
	}
	return out, checkConfigurationLists(n)
}

// checkConfigurationLists looks into the lists of a field.
func checkConfigurationLists(n *node) *exception {
	for name, members := range map[string][]string{"depends_on": {"field", "value"}, "options": {"label", "value"}, "validations": {"type", "constraint"}} {
		list := n.get(name)
		if list == nil {
			continue
		}
		for _, item := range list.items {
			for _, m := range members {
				if item.get(m) == nil {
					return illegalArgument("[%s] Required [%s]", name, m)
				}
			}
			if kind := item.get("type"); name == "validations" && !slices.Contains(configurationValidations, strings.ToLower(kind.text)) {
				return illegalArgument("Unknown validation: %s", kind.text)
			}
		}
	}
	return nil
}
