package elastic

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// page is the answer of a list. Its documents are long, so they are filtered one by one
// and put together once.
type page struct {
	count   int64
	results []json.RawMessage
}

// encode writes a page, or what the paths of filter_path keep of it.
func (p page) encode(paths []string) ([]byte, error) {
	if len(paths) > 0 {
		return p.filtered(splitPaths(paths))
	}
	return p.join(true, true), nil
}

// join puts a page together, with its count, its results or both.
func (p page) join(count, results bool) []byte {
	size := 64
	for _, r := range p.results {
		size += len(r) + 1
	}
	out := append(make([]byte, 0, size), '{')
	if count {
		out = strconv.AppendInt(append(out, `"count":`...), p.count, 10)
	}
	if results {
		if count {
			out = append(out, ',')
		}
		out = append(out, `"results":[`...)
		for i, r := range p.results {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, r...)
		}
		out = append(out, ']')
	}
	return append(out, '}')
}

// filtered is what selected keeps of a page.
func (p page) filtered(keep, drop [][]string) ([]byte, error) {
	_, count := selected(map[string]any{"count": p.count}, keep, drop)
	within, ends := step(keep, "results")
	out, gone := step(drop, "results")
	if ends {
		within = [][]string{{"**"}}
	}
	if gone || len(within) == 0 {
		return page{count: p.count}.join(count, false), nil
	}
	left := page{count: p.count}
	for _, r := range p.results {
		v, err := decodeNumbers(r)
		if err != nil {
			return nil, err
		}
		v, kept := selected(v, within, out)
		if !kept {
			continue
		}
		if r, err = encode(v); err != nil {
			return nil, err
		}
		left.results = append(left.results, r)
	}
	return left.join(count, len(left.results) > 0 || len(p.results) == 0 && anyDepth(within)), nil
}

// connectorFilter reads the query of a list of connectors.
func connectorFilter(p params) (f history.ConnectorFilter, err error) {
	if f.From, f.Size, err = p.page(); err != nil {
		return f, err
	}
	if f.Deleted, err = p.truth("include_deleted"); err != nil {
		return f, err
	}
	f.IndexNames, f.Names, f.ServiceTypes = p.list("index_name"), p.list("connector_name"), p.list("service_type")
	for _, name := range f.IndexNames {
		if why := badIndexName(name); why != "" {
			return f, notValid("Invalid index name [" + name + "], " + why)
		}
	}
	if n := len(f.IndexNames) + len(f.Names) + len(f.ServiceTypes); n > maxTerms {
		return f, illegalArgument("the list is filtered by [%d] values; at most [%d] are taken", n, maxTerms)
	}
	if q, _ := p.last("query"); q != "" {
		f.Match = matchQuery(q)
	}
	return f, nil
}

// maxTerms is how many values the filters of a list may have together.
const maxTerms = 1000

// matchQuery is *query* on the index name and the name, letter by letter, and on the words
// of the description, which are compared in lower case. * and ? in it are wildcards.
func matchQuery(query string) func(indexName, name, description string) bool {
	words := strings.ToLower(query)
	return func(indexName, name, description string) bool {
		if contains(indexName, query) || contains(name, query) {
			return true
		}
		for word := range strings.FieldsSeq(strings.ToLower(description)) {
			if contains(word, words) {
				return true
			}
		}
		return false
	}
}

// contains says whether a part of s fits a pattern with * and ?. It goes back to the last
// * alone, so its time is bounded by the product of the lengths.
func contains(s, pattern string) bool {
	pattern = "*" + pattern + "*"
	i, j, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case j < len(pattern) && pattern[j] == '*':
			star, mark = j, i
			j++
		case j < len(pattern) && (pattern[j] == '?' || pattern[j] == s[i]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[j:], "*") == ""
}

// listConnectors answers a page of connectors, tasks among them.
func (a *API) listConnectors(c *call) (answer, error) {
	f, err := connectorFilter(c.params)
	if err != nil {
		return answer{}, err
	}
	rows, total, err := a.control.Connectors(c.Context(), c.who, f)
	if err != nil {
		return answer{}, err
	}
	var ids []task.ID
	for _, row := range rows {
		if row.Task != nil {
			ids = append(ids, row.Task.ID)
		}
	}
	syncs, err := a.control.TaskSyncs(c.Context(), c.who, ids)
	if err != nil {
		return answer{}, err
	}
	out := page{total, make([]json.RawMessage, 0, len(rows))}
	for _, row := range rows {
		var raw json.RawMessage
		if row.Task == nil {
			raw, err = withID(row.Connector.ID, row.Connector.Doc)
		} else {
			raw, err = encode(a.managedConnector(*row.Task, syncs[row.Task.ID]))
		}
		if err != nil {
			return answer{}, err
		}
		out.results = append(out.results, raw)
	}
	return ok(out)
}
