package oms

import (
	"net/http"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// path is what the raw path of a request says.
type path struct {
	project string // empty for paths without one
	id      string // of a sync task
}

// operation is one call of the API.
type operation struct {
	do     func(*API, *request) error
	public bool // answers anybody
}

// pattern is the paths of operations by method, with {} for any id.
type pattern struct {
	parts []string
	by    map[string]operation
}

func at(p string, by map[string]operation) pattern { return pattern{strings.Split(p, "/"), by} }

func call(do func(*API, *request) error) operation { return operation{do: do} }

// projectPaths are those below /v2/{project_id}/. They are few: a list will do.
var projectPaths = []pattern{
	at("sync-tasks/{}/events", map[string]operation{http.MethodPost: call((*API).createEvents)}),
	at("sync-tasks", map[string]operation{http.MethodPost: call((*API).createTask), http.MethodGet: call((*API).listTasks)}),
	at("sync-tasks/{}", map[string]operation{http.MethodGet: call((*API).showTask), http.MethodDelete: call((*API).deleteTask)}),
	at("sync-tasks/{}/start", map[string]operation{http.MethodPost: call((*API).startTask)}),
	at("sync-tasks/{}/stop", map[string]operation{http.MethodPost: call((*API).stopTask)}),
	at("sync-tasks/{}/statistics", map[string]operation{http.MethodGet: call((*API).statistics)}),
	at("objectstorage/buckets", map[string]operation{http.MethodPost: call((*API).listBuckets)}),
	at("objectstorage/buckets/objects", map[string]operation{http.MethodPost: call((*API).listObjects)}),
	at("objectstorage/buckets/regions", map[string]operation{http.MethodPost: call((*API).bucketRegion)}),
	at("objectstorage/buckets/cdn-info", map[string]operation{http.MethodPost: call((*API).cdnInfo)}),
	at("objectstorage/buckets/prefix", map[string]operation{http.MethodPost: call((*API).checkPrefix)}),
	at("objectstorage/cloud-type", map[string]operation{http.MethodGet: call((*API).cloudTypes)}),
	at("objectstorage/data-center", map[string]operation{http.MethodGet: call((*API).regions)}),
	at("privacy-agreements", map[string]operation{http.MethodPost: call((*API).agreePrivacy)}),
}

// migrations begin the paths of migration tasks and groups, which are not here.
var migrations = []string{"tasks", "taskgroups", "objectstorage/buckets/url-source-list-file"}

var (
	errNoPath = &task.Error{
		Kind: task.NotFound, Code: codeNoPath, Text: "the API does not exist or has not been published in the environment",
		Next: "check the path: every id between its slashes must be set",
	}
	errNoMigrations = &task.Error{
		Kind: task.NotFound, Code: codeNoPath, Text: "the API has not been published in the environment: migration tasks and task groups are not part of this service",
		Next: "use a synchronization task, or start a scan of one",
	}
	errMethod = &task.Error{Kind: task.Invalid, Code: codeMethod, Text: "the path does not take this method", Next: "start and stop are POST"}
	// errBraces: a Go client with an endpoint and without a project id sends its template.
	errBraces = &task.Error{
		Kind: task.Invalid, Code: codeNoProject, Text: "the path has the text {project_id} in place of a project id",
		Next: "set the project id in the client: WithProjectId, or HUAWEICLOUD_SDK_PROJECT_ID",
	}
)

// route finds the operation of a raw path, which is neither cleaned nor decoded: an empty
// segment, "." or ".." is no path of ours, and ids have no character that needs escaping.
func route(method, raw string) (operation, path, error) {
	if raw == "/" {
		return byMethod(method, map[string]operation{http.MethodGet: {do: (*API).versions, public: true}}, path{})
	}
	raw = strings.TrimPrefix(raw, "/")
	for s := range strings.SplitSeq(raw, "/") {
		if s == "" || s == "." || s == ".." {
			return operation{}, path{}, errNoPath
		}
	}
	version, rest, below := strings.Cut(raw, "/")
	switch {
	case !below && !validID(version):
		return operation{}, path{}, errNoPath
	case !below:
		return byMethod(method, map[string]operation{http.MethodGet: {do: (*API).version, public: true}}, path{id: version})
	case version == "v3" && rest == "projects":
		return byMethod(method, map[string]operation{http.MethodGet: call((*API).projects)}, path{})
	case version != "v2":
		return operation{}, path{}, errNoPath
	}
	project, rest, _ := strings.Cut(rest, "/")
	if project == "{project_id}" || strings.EqualFold(project, "%7Bproject_id%7D") {
		return operation{}, path{}, errBraces
	}
	for _, p := range projectPaths {
		if id, ok := p.match(rest); ok {
			if !validID(project) || id != "" && !validID(id) {
				return operation{}, path{}, errNoPath
			}
			return byMethod(method, p.by, path{project: project, id: id})
		}
	}
	for _, m := range migrations {
		if rest == m || strings.HasPrefix(rest, m+"/") {
			return operation{}, path{}, errNoMigrations
		}
	}
	return operation{}, path{}, errNoPath
}

func byMethod(method string, by map[string]operation, p path) (operation, path, error) {
	op, ok := by[method]
	if !ok {
		return operation{}, p, errMethod
	}
	return op, p, nil
}

// match says whether a path has the pattern's form, and the id in it.
func (p *pattern) match(rest string) (id string, ok bool) {
	for i, part := range p.parts {
		s, more, found := strings.Cut(rest, "/")
		if found != (i < len(p.parts)-1) {
			return "", false
		}
		switch part {
		case "{}":
			id = s
		case s:
		default:
			return "", false
		}
		rest = more
	}
	return id, true
}

// validID says whether an id is one that every client puts into a path as it is.
func validID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// Answers is the Match of the dialect's Route: /v2 and /v3 with all below them, and
// other versions' names, which are errors of this API.
func Answers(raw string) bool {
	if strings.HasPrefix(raw, "//") {
		return strings.HasPrefix(raw, "//v2/") // an endpoint that ends in a slash, joined carelessly
	}
	version, _, below := strings.Cut(strings.TrimPrefix(raw, "/"), "/")
	if len(version) < 2 || version[0] != 'v' || version[1] < '0' || version[1] > '9' {
		return false
	}
	return version == "v2" || version == "v3" || !below
}
