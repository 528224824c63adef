package elastic

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

var (
	rulePolicies   = []string{"include", "exclude"}
	ruleKinds      = []string{"contains", "ends_with", "equals", "regex", "starts_with", ">", "<"}
	validityStates = []string{"edited", "invalid", "valid"}
)

var filteringShape = shape{name: "connector_update_filtering_request", fields: map[string]token{
	"filtering": tokArray | tokNull, "rules": tokArray | tokNull, "advanced_snippet": tokObject | tokNull,
}}

// updateFiltering sets the whole filtering, or the rules and the snippet of its draft.
func (a *API) updateFiltering(c *call) (answer, error) {
	in, err := filteringShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	given := func(name string) *node {
		if n := in.get(name); n != nil && n.token != tokNull {
			return n
		}
		return nil
	}
	all, rules, snippet := given("filtering"), given("rules"), given("advanced_snippet")
	now := a.now().Truncate(time.Millisecond)
	switch {
	case all == nil && rules == nil && snippet == nil:
		return answer{}, notValid("[filtering], [rules] and [advanced_snippet] cannot be all [null]. Please provide a value for at least one of them.")
	case all != nil && (rules != nil || snippet != nil):
		return answer{}, notValid("[filtering] cannot be provided along with [rules] or [advanced_snippet].")
	case all != nil:
		value, why := readFiltering(all, now)
		if why != nil {
			return answer{}, in.bad("filtering", why)
		}
		return a.change(c, blind, func(doc document) error {
			doc["filtering"] = value
			return nil
		})
	}
	return a.updateDraft(c, in, rules, snippet, now)
}

// updateDraft sets a part of the draft; the other stays. What was edited has to be
// validated again.
func (a *API) updateDraft(c *call, in *input, rules, snippet *node, now time.Time) (answer, error) {
	part := map[string]any{"validation": map[string]any{"errors": []any{}, "state": "edited"}}
	if rules != nil {
		list, why := readRules(rules, now)
		if why != nil {
			return answer{}, in.bad("rules", why)
		}
		part["rules"] = withDefaultRule(list, now)
	}
	if snippet != nil {
		value, why := readSnippet(snippet, now)
		if why != nil {
			return answer{}, in.bad("advanced_snippet", why)
		}
		part["advanced_snippet"] = value
	}
	return a.changeDraft(c, func(filtering document) error {
		draft := maps.Clone(filtering.object("draft"))
		if draft == nil {
			draft = newFilter(now)
		}
		maps.Copy(draft, part)
		filtering["draft"] = map[string]any(draft)
		return nil
	})
}

// changeDraft changes the one element of a connector's filtering.
func (a *API) changeDraft(c *call, f func(filtering document) error) (answer, error) {
	return a.change(c, readFirst, func(doc document) error {
		filtering := doc.first("filtering")
		if filtering == nil {
			filtering = document{"domain": "DEFAULT"}
		}
		filtering = maps.Clone(filtering)
		if err := f(filtering); err != nil {
			return err
		}
		doc["filtering"] = []any{map[string]any(filtering)}
		return nil
	})
}

// readFiltering reads the whole array. The domain is always the default one.
func readFiltering(n *node, now time.Time) ([]any, *exception) {
	out := []any{}
	for _, item := range n.items {
		if item.token != tokObject {
			return nil, illegalArgument("[filtering] holds objects")
		}
		entry := map[string]any{"domain": "DEFAULT"}
		for _, side := range []string{"active", "draft"} {
			value, why := readFilter(item.get(side), now)
			if why != nil {
				return nil, why
			}
			entry[side] = value
		}
		out = append(out, entry)
	}
	return out, nil
}

func readFilter(n *node, now time.Time) (map[string]any, *exception) {
	if n == nil || n.token != tokObject {
		return nil, illegalArgument("Required [active, draft]")
	}
	out := newFilter(now)
	if x := n.get("advanced_snippet"); x != nil && x.token != tokNull {
		value, why := readSnippet(x, now)
		if why != nil {
			return nil, why
		}
		out["advanced_snippet"] = value
	}
	if x := n.get("rules"); x != nil && x.token != tokNull {
		rules, why := readRules(x, now)
		if why != nil {
			return nil, why
		}
		list := make([]any, len(rules))
		for i, r := range rules {
			list[i] = r
		}
		out["rules"] = list
	}
	if x := n.get("validation"); x != nil && x.token != tokNull {
		value, why := readValidation(x)
		if why != nil {
			return nil, why
		}
		out["validation"] = value
	}
	return out, nil
}

// readTimes reads created_at and updated_at, which are now where they are absent.
func readTimes(n *node, now time.Time) (map[string]any, *exception) {
	out := map[string]any{}
	for _, name := range []string{"created_at", "updated_at"} {
		at := now
		if x := n.get(name); x != nil && x.token != tokNull {
			t, ok := parseDate(x.text)
			if !ok {
				return nil, illegalArgument("failed to parse date field [%s] with format [%s]", x.text, dateFormat)
			}
			at = t
		}
		out[name] = formatDate(at)
	}
	return out, nil
}

func readSnippet(n *node, now time.Time) (map[string]any, *exception) {
	if n.token != tokObject {
		return nil, illegalArgument("[advanced_snippet] is an object")
	}
	out, why := readTimes(n, now)
	if why != nil {
		return nil, why
	}
	value := n.get("value")
	if value == nil || value.token&(tokObject|tokArray) == 0 {
		return nil, illegalArgument("[value] of an advanced snippet is an object or an array")
	}
	out["value"] = value.value()
	return out, nil
}

func readRules(n *node, now time.Time) ([]map[string]any, *exception) {
	if n.token != tokArray {
		return nil, illegalArgument("[rules] is an array")
	}
	var out []map[string]any
	for _, item := range n.items {
		r, why := readRule(item, now)
		if why != nil {
			return nil, why
		}
		out = append(out, r)
	}
	return out, nil
}

func readRule(n *node, now time.Time) (map[string]any, *exception) {
	if n.token != tokObject {
		return nil, illegalArgument("a rule is an object")
	}
	out, why := readTimes(n, now)
	if why != nil {
		return nil, why
	}
	for _, name := range []string{"field", "id", "policy", "rule", "value"} {
		x := n.get(name)
		if x == nil || x.token != tokString {
			return nil, illegalArgument("Required [%s]", name)
		}
		out[name] = x.text
	}
	order := n.get("order")
	if order == nil || order.token&(tokNumber|tokString) == 0 {
		return nil, illegalArgument("Required [order]")
	}
	at, why := parseLong(order.text)
	if why != nil {
		return nil, why
	}
	out["order"] = number(at)
	policy, rule := strings.ToLower(out["policy"].(string)), strings.ToLower(out["rule"].(string))
	if !slices.Contains(rulePolicies, policy) {
		return nil, illegalArgument("Unknown FilteringPolicy: %s", out["policy"])
	}
	if !slices.Contains(ruleKinds, rule) {
		return nil, illegalArgument("Unknown FilteringRuleCondition: %s", out["rule"])
	}
	out["policy"], out["rule"] = policy, rule
	return out, nil
}

// withDefaultRule sorts rules by their order and lets the default rule end them.
func withDefaultRule(rules []map[string]any, now time.Time) []any {
	order := func(r map[string]any) int64 {
		n, _ := r["order"].(json.Number).Int64()
		return n
	}
	at := formatDate(now)
	last := defaultRule(0, at, at)
	rules = slices.DeleteFunc(rules, func(r map[string]any) bool {
		if isDefault := r["id"] == defaultRuleID; isDefault {
			last["created_at"] = r["created_at"]
			return true
		}
		return false
	})
	slices.SortStableFunc(rules, func(a, b map[string]any) int { return cmp.Compare(order(a), order(b)) })
	out := make([]any, 0, len(rules)+1)
	for _, r := range rules {
		out = append(out, r)
	}
	if len(rules) > 0 {
		last["order"] = number(order(rules[len(rules)-1]) + 1)
	}
	return append(out, last)
}

var filteringValidationShape = shape{
	name:   "connector_update_filtering_validation",
	fields: map[string]token{"validation": tokObject}, required: []string{"validation"},
}

func (a *API) updateFilteringValidation(c *call) (answer, error) {
	in, err := filteringValidationShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	value, why := readValidation(in.get("validation"))
	if why != nil {
		return answer{}, in.bad("validation", why)
	}
	return a.changeDraft(c, func(filtering document) error {
		filtering.merge(map[string]any{"draft": map[string]any{"validation": value}})
		return nil
	})
}

func readValidation(n *node) (map[string]any, *exception) {
	if n.token != tokObject {
		return nil, illegalArgument("[validation] is an object")
	}
	errs, state := n.get("errors"), n.get("state")
	switch {
	case errs == nil || errs.token != tokArray:
		return nil, illegalArgument("Required [errors]")
	case state == nil || state.token != tokString:
		return nil, illegalArgument("Required [state]")
	case !slices.Contains(validityStates, strings.ToLower(state.text)):
		return nil, illegalArgument("Unknown FilteringValidationState: %s", state.text)
	}
	list := []any{}
	for _, e := range errs.items {
		entry := map[string]any{}
		for _, name := range []string{"ids", "messages"} {
			x := e.get(name)
			if x == nil || x.token != tokArray || slices.ContainsFunc(x.items, func(i *node) bool { return i.token != tokString }) {
				return nil, illegalArgument("Required [%s]", name)
			}
			entry[name] = x.value()
		}
		list = append(list, entry)
	}
	return map[string]any{"errors": list, "state": strings.ToLower(state.text)}, nil
}

// activateFiltering makes a valid draft the active filtering.
func (a *API) activateFiltering(c *call) (answer, error) {
	return a.changeDraft(c, func(filtering document) error {
		draft := filtering.object("draft")
		if state := draft.object("validation").text("state"); state != "valid" {
			return badState("Filtering draft needs to be validated first before activation. Current draft validation state [%s] is not equal to [valid].", state)
		}
		filtering["active"] = map[string]any(draft)
		return nil
	})
}
