package elastic_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api/elastic"
)

// Every way in that clients use, whatever the case of its name; and none that is half.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.users["viewer"]
	pair := base64.StdEncoding.EncodeToString([]byte(u.id + ":" + u.secret))
	for header, want := range map[string]int{
		"ApiKey " + pair: 200, "APIKey " + pair: 200, "apikey  " + pair + " ": 200, "Basic " + pair: 200, "basic " + pair: 200,
		"Bearer " + u.id + ":" + u.secret: 200,
		"":                                401, "ApiKey": 401, "ApiKey ": 401, "ApiKey !!!": 401, "ApiKey " + u.id + ":" + u.secret: 401, "Bearer " + pair: 401,
		"ApiKey " + base64.StdEncoding.EncodeToString([]byte(u.id)): 401, "ApiKey " + base64.StdEncoding.EncodeToString([]byte(u.id+":")): 401,
		"ApiKey " + base64.StdEncoding.EncodeToString([]byte(":"+u.secret)): 401, "ApiKey " + base64.StdEncoding.EncodeToString([]byte(u.id+":wrong")): 401,
		"Negotiate " + pair: 401,
	} {
		r := w.do("nobody", "GET", "/_connector", "", "Authorization", header)
		if r.status != want {
			t.Errorf("%q: %d %s", header, r.status, r.body)
		}
		if want == 401 && len(r.header["Www-Authenticate"]) != 3 {
			t.Errorf("%q: the ways in are %q", header, r.header["Www-Authenticate"])
		}
	}
}

// Programs delete the index of a connector when they are done; there is none.
func TestIndicesAreNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, status := range map[string]int{
		"": 404, "?timeout=30s&master_timeout=30s&allow_no_indices=true&expand_wildcards=all": 404, "?ignore_unavailable=false": 404,
		"?ignore_unavailable=true": 200, "?ignore_unavailable=perhaps": 400, "?frm=1": 400,
	} {
		w.want("DELETE", "/some-index"+query, "", status)
	}
}

// The official clients compress what they send when they are told to.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", "", 201)
	squeeze := func(text string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, err := z.Write([]byte(text))
		w.must(err)
		w.must(z.Close())
		return b.String()
	}
	done := squeeze(`{"last_sync_status":"completed"}`)
	for what, c := range map[string]struct {
		encoding, body string
		status         int
	}{
		"gzip":       {"gzip", done, 200},
		"another":    {"GZIP", squeeze(`{"last_indexed_document_count":7}`), 200},
		"none":       {"identity", `{}`, 200},
		"a bomb":     {"gzip", squeeze(`{"last_sync_error":"` + strings.Repeat("x", elastic.MaxBody) + `"}`), 413},
		"cut short":  {"gzip", done[:len(done)-4], 400},
		"is not":     {"gzip", `{}`, 400},
		"not spoken": {"br", done, 400},
	} {
		r := w.do("operator", "PUT", "/_connector/c/_last_sync", c.body, "Content-Encoding", c.encoding)
		if r.status != c.status || !json.Valid(r.body) {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	if doc := w.want("GET", "/_connector/c", "", 200); doc["last_sync_status"] != "completed" || fmt.Sprint(doc["last_indexed_document_count"]) != "7" {
		t.Errorf("the connector is %v", doc)
	}
}

// Bodies that would cost too much are refused before they do.
func TestBodiesHaveAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", "", 201)
	for what, c := range map[string]struct {
		body   string
		status int
	}{
		"large":    {`{"sync_cursor":{"a":"` + strings.Repeat("x", elastic.MaxBody) + `"}}`, 413},
		"deep":     {`{"sync_cursor":` + strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1001), 400},
		"unclosed": {strings.Repeat("[", 1_000_000), 400},
		"wide":     {`{"sync_cursor":{"a":[` + strings.Repeat("1,", 500_000) + `1]}}`, 200},
		"a name":   {`{"last_sync_error":"` + strings.Repeat("é", 10_000) + `"}`, 200},
	} {
		r := w.do("operator", "PUT", "/_connector/c/_last_sync", c.body)
		if r.status != c.status || !json.Valid(r.body) {
			t.Errorf("%s: %d %.200s", what, r.status, r.body)
		}
	}
	// Cursors and metadata merge: a document ends all the same.
	half := strings.Repeat("x", elastic.MaxBody/2)
	w.want("PUT", "/_connector/d", `{"index_name":"i","service_type":"s"}`, 201)
	job := "/_connector/_sync_job/" + w.want("POST", "/_connector/_sync_job", `{"id":"d"}`, 201)["id"].(string)
	for i, status := range []int{200, 400} {
		w.want("PUT", "/_connector/d/_last_sync", fmt.Sprintf(`{"sync_cursor":{"at%d":%q}}`, i, half), status)
		w.want("PUT", job+"/_stats", fmt.Sprintf(`{"deleted_document_count":0,"indexed_document_count":0,"indexed_document_volume":0,"metadata":{"at%d":%q}}`, i, half), status)
	}
	for path, body := range map[string]string{
		"_name": `{"name":"` + strings.Repeat("x", 1025) + `"}`, "_service_type": `{"service_type":"` + strings.Repeat("x", 513) + `"}`,
	} {
		if r := w.do("operator", "PUT", "/_connector/c/"+path, body); r.status != 400 || !strings.Contains(string(r.body), "too long") {
			t.Errorf("%s: %d %.200s", path, r.status, r.body)
		}
	}
}
