package elastic

import "strings"

// schedules are what a connector can be synced by.
var schedules = []string{"access_control", "full", "incremental"}

var schedulingShape = shape{
	name:   "connector_update_scheduling_request",
	fields: map[string]token{"scheduling": tokObject}, required: []string{"scheduling"},
}

// updateScheduling sets the schedules that are mentioned.
func (a *API) updateScheduling(c *call) (answer, error) {
	in, err := schedulingShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	set := map[string]any{}
	for _, name := range schedules {
		n := in.get("scheduling").get(name)
		if n == nil || n.token == tokNull {
			continue
		}
		schedule, why := readSchedule(n)
		if why != nil {
			return answer{}, in.bad("scheduling", why)
		}
		set[name] = schedule
	}
	if len(set) == 0 {
		return answer{}, in.bad("scheduling", illegalArgument("[scheduling] object needs to define at least one schedule type: [full | incremental | access_control]"))
	}
	out, err := a.change(c, blind, func(doc document) error {
		doc.merge(map[string]any{"scheduling": set})
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return out, a.expectAgain(c, c.id)
}

func readSchedule(n *node) (map[string]any, *exception) {
	enabled, interval := n.get("enabled"), n.get("interval")
	switch {
	case n.token != tokObject:
		return nil, illegalArgument("a schedule is an object")
	case enabled == nil || enabled.token != tokBool:
		return nil, illegalArgument("Required [enabled]")
	case interval == nil || interval.token != tokString:
		return nil, illegalArgument("Required [interval]")
	}
	if _, err := parseCron(interval.text); err != nil {
		return nil, illegalArgument("invalid cron expression [%s]: %s", interval.text, err.Error())
	}
	return map[string]any{"enabled": enabled.truth, "interval": interval.text}, nil
}

var pipelineShape = shape{
	name:   "connector_update_pipeline_request",
	fields: map[string]token{"pipeline": tokObject}, required: []string{"pipeline"},
}

// updatePipeline sets the ingest pipeline, whole.
func (a *API) updatePipeline(c *call) (answer, error) {
	in, err := pipelineShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	set := map[string]any{}
	var absent []string
	for _, f := range []struct {
		name  string
		token token
	}{{"extract_binary_content", tokBool}, {"name", tokString}, {"reduce_whitespace", tokBool}, {"run_ml_inference", tokBool}} {
		n := in.get("pipeline").get(f.name)
		if n == nil {
			absent = append(absent, f.name)
			continue
		}
		if n.token != f.token {
			return answer{}, in.bad("pipeline", unparsable(n.at, "[connector_ingest_pipeline] %s doesn't support values of type: %s", f.name, n.token))
		}
		set[f.name] = n.value()
	}
	if len(absent) > 0 {
		return answer{}, in.bad("pipeline", illegalArgument("Required [%s]", strings.Join(absent, ", ")))
	}
	return a.change(c, blind, func(doc document) error {
		doc.merge(map[string]any{"pipeline": set})
		return nil
	})
}

var featuresShape = shape{
	name:   "connector_update_features_request",
	fields: map[string]token{"features": tokObject}, required: []string{"features"},
}

// updateFeatures sets the features that are mentioned.
func (a *API) updateFeatures(c *call) (answer, error) {
	in, err := featuresShape.read(c.body)
	if err != nil {
		return answer{}, err
	}
	set := map[string]any{}
	for _, f := range in.get("features").fields {
		var value map[string]any
		var why *exception
		switch f.name {
		case "document_level_security", "incremental_sync", "native_connector_api_keys":
			value, why = readFeature(f.value)
		case "sync_rules":
			value, why = readSyncRules(f.value)
		}
		if why != nil {
			return answer{}, in.bad("features", why)
		}
		if value != nil {
			set[f.name] = value
		}
	}
	return a.change(c, blind, func(doc document) error {
		doc.merge(map[string]any{"features": set})
		return nil
	})
}

// readFeature reads {enabled}; null is nothing.
func readFeature(n *node) (map[string]any, *exception) {
	if n.token == tokNull {
		return nil, nil
	}
	enabled := n.get("enabled")
	if n.token != tokObject || enabled == nil || enabled.token != tokBool {
		return nil, illegalArgument("Required [enabled]")
	}
	return map[string]any{"enabled": enabled.truth}, nil
}

func readSyncRules(n *node) (map[string]any, *exception) {
	if n.token == tokNull {
		return nil, nil
	}
	if n.token != tokObject {
		return nil, illegalArgument("[sync_rules] is an object")
	}
	out := map[string]any{}
	for _, name := range []string{"basic", "advanced"} {
		if x := n.get(name); x != nil {
			value, why := readFeature(x)
			if why != nil {
				return nil, why
			}
			if value != nil {
				out[name] = value
			}
		}
	}
	return out, nil
}
