package elastic

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// route is one call of the API.
type route struct {
	method string
	action string // what Elasticsearch calls the permission to do it
	params []string
	serve  func(*API, *call) (answer, error)
}

// pattern is a path, without Root, that some methods are for. A segment "*" is an id.
type pattern struct {
	segments []string
	routes   []route
}

// idName is what the id of a pattern is called when it is refused.
func (p pattern) idName() string {
	if len(p.segments) > 0 && p.segments[0] == "_sync_job" {
		return "connector_sync_job_id"
	}
	return "connector_id"
}

func put(path, action string, serve func(*API, *call) (answer, error)) pattern {
	return pattern{strings.Split(path, "/"), []route{{http.MethodPut, action, nil, serve}}}
}

// patterns are all paths. Those that begin with a literal come first: they win over ids.
var patterns = []pattern{
	{nil, []route{
		{http.MethodGet, "list", []string{"from", "size", "index_name", "connector_name", "service_type", "query", "include_deleted"}, (*API).listConnectors},
		{http.MethodPut, "put", nil, (*API).createConnector},
		{http.MethodPost, "post", nil, (*API).createConnector},
	}},
	{[]string{"_sync_job"}, []route{
		{http.MethodGet, "sync_job/list", []string{"from", "size", "status", "connector_id", "job_type"}, (*API).listJobs},
		{http.MethodPost, "sync_job/post", nil, (*API).postJob},
	}},
	{[]string{"_sync_job", "*"}, []route{
		{http.MethodGet, "sync_job/get", nil, (*API).getJob},
		{http.MethodDelete, "sync_job/delete", nil, (*API).deleteJob},
	}},
	put("_sync_job/*/_check_in", "sync_job/check_in", (*API).checkInJob),
	put("_sync_job/*/_claim", "sync_job/claim", (*API).claimJob),
	put("_sync_job/*/_cancel", "sync_job/cancel", (*API).cancelJob),
	put("_sync_job/*/_error", "sync_job/update_error", (*API).jobError),
	put("_sync_job/*/_stats", "sync_job/update_stats", (*API).jobStats),
	{[]string{"_secret"}, nil},
	{[]string{"_secret", "*"}, nil},
	{[]string{"*"}, []route{
		{http.MethodGet, "get", []string{"include_deleted"}, (*API).getConnector},
		{http.MethodPut, "put", nil, (*API).createConnector},
		{http.MethodDelete, "delete", []string{"hard", "delete_sync_jobs"}, (*API).deleteConnector},
	}},
	put("*/_last_sync", "update_last_sync_stats", (*API).lastSync),
	put("*/_check_in", "update_last_seen", (*API).checkIn),
	put("*/_name", "update_name", (*API).updateName),
	put("*/_error", "update_error", (*API).updateError),
	put("*/_status", "update_status", (*API).updateStatus),
	put("*/_scheduling", "update_scheduling", (*API).updateScheduling),
	put("*/_pipeline", "update_pipeline", (*API).updatePipeline),
	put("*/_index_name", "update_index_name", (*API).updateIndexName),
	put("*/_service_type", "update_service_type", (*API).updateServiceType),
	put("*/_native", "update_native", (*API).updateNative),
	put("*/_api_key_id", "update_api_key_id", (*API).updateAPIKeyID),
	put("*/_features", "update_features", (*API).updateFeatures),
	put("*/_configuration", "update_configuration", (*API).updateConfiguration),
	put("*/_filtering", "update_filtering", (*API).updateFiltering),
	put("*/_filtering/_validation", "update_draft_filtering_validation", (*API).updateFilteringValidation),
	put("*/_filtering/_activate", "update_filtering_activation", (*API).activateFiltering),
}

// find returns the route of a raw path, and the id in it.
func find(method, path string) (route, string, error) {
	rest, below := strings.CutPrefix(path, Root)
	if !below || rest != "" && rest[0] != '/' {
		if method == http.MethodDelete && IndexPath(path) {
			return route{method, "delete_index", deleteIndexParams, (*API).deleteIndex}, strings.TrimPrefix(path, "/"), nil
		}
		return route{}, "", noHandler(method, path)
	}
	var segments []string
	if rest = strings.TrimPrefix(strings.TrimSuffix(rest, "/"), "/"); rest != "" || strings.Contains(strings.TrimPrefix(path, Root), "//") {
		segments = strings.Split(rest, "/")
	}
	for _, p := range patterns {
		raw, fits := p.match(segments)
		if !fits {
			continue
		}
		return p.route(method, path, raw)
	}
	return route{}, "", noHandler(method, path)
}

// match says whether the segments of a path are those of the pattern, and which is the id.
func (p pattern) match(segments []string) (id string, fits bool) {
	if len(segments) != len(p.segments) {
		return "", false
	}
	for i, want := range p.segments {
		got := segments[i]
		switch {
		case want == got:
		case want != "*", i == 0 && (got == "_sync_job" || got == "_secret"):
			return "", false
		default:
			id = got
		}
	}
	return id, true
}

func (p pattern) route(method, path, raw string) (route, string, error) {
	if len(p.routes) == 0 {
		return route{}, "", noHandler(method, path)
	}
	i := slices.IndexFunc(p.routes, func(r route) bool { return r.method == method })
	if i < 0 {
		var allow []string
		for _, r := range p.routes {
			allow = append(allow, r.method)
		}
		return route{}, "", &exception{
			status: http.StatusMethodNotAllowed, kind: "illegal_argument_exception", allow: allow,
			reason: "Incorrect HTTP method for uri [" + path + "] and method [" + method + "], allowed: [" + strings.Join(allow, ", ") + "]",
		}
	}
	if !slices.Contains(p.segments, "*") {
		return p.routes[i], "", nil
	}
	id, err := url.PathUnescape(raw)
	switch {
	case id == "":
		return route{}, "", notValid("[" + p.idName() + "] cannot be [null] or [\"\"].")
	case err != nil, !utf8.ValidString(id), strings.ContainsRune(id, 0):
		return route{}, "", illegalArgument("the id in the path is no UTF-8 text")
	case len(id) > maxID:
		return route{}, "", notValid("id is too long, must be no longer than 512 bytes")
	}
	return p.routes[i], id, nil
}

// maxID is the longest id, in bytes.
const maxID = 512

// noHandler is the one refusal that Elasticsearch words without a type; clients take both.
func noHandler(method, path string) error {
	x := illegalArgument("no handler found for uri [%s] and method [%s]", path, method)
	x.bare = true
	return x
}

// deleteIndexParams are those that clients send when they delete what may not be there.
var deleteIndexParams = []string{"allow_no_indices", "expand_wildcards", "ignore_unavailable", "master_timeout", "timeout"}

// deleteIndex answers for an index: there are none here.
func (a *API) deleteIndex(c *call) (answer, error) {
	if ignore, err := c.params.truth("ignore_unavailable"); err != nil {
		return answer{}, err
	} else if ignore {
		return ok(map[string]any{"acknowledged": true})
	}
	return answer{}, &exception{status: http.StatusNotFound, kind: "index_not_found_exception", reason: "no such index [" + c.id + "]"}
}
