package memserver

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// countsPath answers with the number of requests so far, by kind, as a JSON
// object. No bucket can have this name.
const countsPath = "/.requests"

type kind int

const (
	kindList kind = iota
	kindBucket
	kindGet
	kindHead
	kindPut
	kindCopy
	kindPart
	kindMultipart // create, complete, abort
	kindDelete
	kinds
)

var kindNames = [kinds]string{"list", "bucket", "get", "head", "put", "copy", "part", "multipart", "delete"}

type counters [kinds]atomic.Int64

func (c *counters) count(r *http.Request, isObject bool, query url.Values) {
	c[kindOf(r, isObject, query)].Add(1)
}

func kindOf(r *http.Request, isObject bool, query url.Values) kind {
	switch {
	case !isObject && r.Method == http.MethodGet && (len(query) == 0 || query.Has("list-type") || query.Has("marker") || query.Has("max-keys")):
		return kindList
	case !isObject && query.Has("delete"):
		return kindDelete
	case !isObject:
		return kindBucket
	case query.Has("partNumber") && r.Method == http.MethodPut:
		return kindPart
	case query.Has("uploads"), query.Has("uploadId"):
		return kindMultipart
	case r.Method == http.MethodHead:
		return kindHead
	case r.Method == http.MethodPut && isCopy(r.Header):
		return kindCopy
	case r.Method == http.MethodPut:
		return kindPut
	case r.Method == http.MethodDelete:
		return kindDelete
	default:
		return kindGet
	}
}

func (c *counters) serve(w http.ResponseWriter) {
	counts := make(map[string]int64, kinds)
	for k := range kinds {
		if n := c[k].Load(); n > 0 {
			counts[kindNames[k]] = n
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(counts)
}

// Requests asks the server at endpoint how many requests it has had, by kind.
func Requests(ctx context.Context, endpoint string) (map[string]int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+countsPath, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var counts map[string]int64
	err = json.NewDecoder(resp.Body).Decode(&counts)
	return counts, err
}

// copySourceHeader names the object that a PUT copies.
const copySourceHeader = "X-Amz-Copy-Source"

func isCopy(h http.Header) bool { return strings.TrimSpace(h.Get(copySourceHeader)) != "" }
