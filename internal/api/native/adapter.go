package native

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// routes matches raw paths, segment by segment: a segment is decoded after it has been
// cut, so that a name with a slash in it stays one, and // is never made /.
type routes struct {
	all []route
}

type route struct {
	method   string
	segments []string // "{name}" takes one segment that is not empty
	op       *huma.Operation
	handle   func(huma.Context)
}

var _ huma.Adapter = (*routes)(nil)

// Handle implements huma.Adapter.
func (t *routes) Handle(op *huma.Operation, handle func(huma.Context)) {
	t.all = append(t.all, route{op.Method, strings.Split(op.Path, "/"), op, handle})
}

// find returns the route of a raw path below the API's root, with the values of its
// parameters set in r; else what methods there are, nil when the path leads nowhere.
func (t *routes) find(r *http.Request, path string) (found *route, allow []string) {
	segments := strings.Split(path, "/")
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range t.all {
		c := &t.all[i]
		if !c.matches(segments) {
			continue
		}
		if c.method == method && c.set(r, segments) {
			return c, nil
		}
		if !slices.Contains(allow, c.method) {
			allow = append(allow, c.method)
		}
	}
	return nil, allow
}

func (c *route) matches(segments []string) bool {
	if len(c.segments) != len(segments) {
		return false
	}
	for i, s := range c.segments {
		if param := strings.HasPrefix(s, "{"); param && segments[i] == "" || !param && s != segments[i] {
			return false
		}
	}
	return true
}

func (c *route) set(r *http.Request, segments []string) bool {
	for i, s := range c.segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil {
			return false
		}
		r.SetPathValue(strings.Trim(s, "{}"), value)
	}
	return true
}

// ServeHTTP implements huma.Adapter; API.ServeHTTP is the way in.
func (t *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := t.find(r, r.URL.EscapedPath())
	if c == nil {
		http.Error(w, "there is nothing here", http.StatusNotFound)
		return
	}
	c.serve(w, r)
}

func (c *route) serve(w http.ResponseWriter, r *http.Request) {
	c.handle(humago.NewContext(c.op, r, w))
}
