package elastic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api/elastic"
)

// ids returns the ids of a list's page and its total.
func (w *world) ids(path string) (ids []string, total string) {
	w.Helper()
	page := w.want("GET", path, "", 200)
	for _, r := range page["results"].([]any) {
		ids = append(ids, r.(map[string]any)["id"].(string))
	}
	return ids, fmt.Sprint(page["count"])
}

// Connectors and tasks are one list: every page of it is a part of the whole, whatever
// stands before, between and after the tasks.
func TestListMerges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type entry struct{ index, id string }
	var want []entry
	for i, index := range []string{"apple", "lockstep", "lockstep-0", "lockstep-4", "lockstep-8", "lockstep-g", "mango", "zebra", "k", "l"} {
		id := fmt.Sprint("c", i)
		w.want("PUT", "/_connector/"+id, fmt.Sprintf(`{"index_name":%q,"description":"number %d"}`, index, i), 201)
		want = append(want, entry{index, id})
	}
	for i := range 7 {
		id := string(w.addTask(fmt.Sprint("t", i)).ID)
		want = append(want, entry{"lockstep-" + id, id})
	}
	slices.SortFunc(want, func(a, b entry) int { return strings.Compare(a.index, b.index) })
	for i := range 3 {
		id := fmt.Sprint("nameless", i)
		w.want("PUT", "/_connector/"+id, "", 201)
		want = append(want, entry{"", id})
	}
	var all []string
	for _, e := range want {
		all = append(all, e.id)
	}
	for from := range len(all) + 2 {
		for _, size := range []int{0, 1, 2, 3, 7, 100} {
			got, total := w.ids(fmt.Sprintf("/_connector?from=%d&size=%d", from, size))
			page := all[min(from, len(all)):min(from+size, len(all))]
			if !slices.Equal(got, page) || total != fmt.Sprint(len(all)) {
				t.Fatalf("from %d, size %d: %v of %s, want %v", from, size, got, total, page)
			}
		}
	}
	// The same through a query, which looks at all of them one by one.
	got, total := w.ids("/_connector?query=lockstep&from=2&size=3")
	var fit []string
	for _, e := range want {
		if strings.Contains(e.index, "lockstep") {
			fit = append(fit, e.id)
		}
	}
	if !slices.Equal(got, fit[2:5]) || total != fmt.Sprint(len(fit)) {
		t.Fatalf("query: %v of %s, want %v", got, total, fit[2:5])
	}
}

// Updates made at once lose nothing: each sets a field of its own.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", "", 201)
	bodies := map[string]string{
		"_name": `{"name":"n"}`, "_pipeline": `{"pipeline":{"extract_binary_content":true,"name":"p","reduce_whitespace":true,"run_ml_inference":true}}`,
		"_index_name": `{"index_name":"i"}`, "_api_key_id": `{"api_key_id":"k"}`, "_service_type": `{"service_type":"s"}`,
	}
	for i := range 16 {
		bodies[fmt.Sprint("_last_sync#", i)] = fmt.Sprintf(`{"sync_cursor":{"at%d":%d}}`, i, i)
	}
	var wg sync.WaitGroup
	for path, body := range bodies {
		path, _, _ = strings.Cut(path, "#")
		wg.Go(func() {
			if r := w.do("operator", "PUT", "/_connector/c/"+path, body); r.status != http.StatusOK {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		})
	}
	wg.Wait()
	doc := w.want("GET", "/_connector/c", "", 200)
	if doc["name"] != "n" || doc["index_name"] != "i" || doc["api_key_id"] != "k" || doc["service_type"] != "s" || doc["pipeline"] == nil {
		t.Errorf("an update was lost: %v", doc)
	}
	if cursor, _ := doc["sync_cursor"].(map[string]any); len(cursor) != 16 {
		t.Errorf("a report was lost: %v", cursor)
	}
}

// Of connectors made at once for one index, one is made.
func TestIndexNamesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	made := 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := w.do("operator", "PUT", fmt.Sprint("/_connector/c", i), `{"index_name":"i"}`)
			mu.Lock()
			defer mu.Unlock()
			if r.status == http.StatusCreated {
				made++
			} else if r.status != http.StatusBadRequest {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Errorf("%d connectors sync into one index", made)
	}
}

// A connector is deleted after its jobs: as long as there are some, the call can be repeated.
func TestDeletingJobsCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	for range 120 { // more than are deleted at a time
		w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)
	}
	left := func() string {
		_, total := w.ids("/_connector/_sync_job?size=0")
		return total
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, w.url+"/_connector/c?delete_sync_jobs=true", http.NoBody)
		w.must(err)
		req.Header.Set("Authorization", "ApiKey "+w.users["operator"].apiKey())
		if resp, err := httpClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	})
	for left() == "120" {
		w.must(t.Context().Err())
	}
	cancel()
	wg.Wait()
	if r := w.do("operator", "DELETE", "/_connector/c?delete_sync_jobs=true", ""); left() != "0" {
		t.Errorf("%s jobs are left after %d %s", left(), r.status, r.body)
	}
}

// A page that is filtered row by row is what filtering it whole makes.
func TestPagesAreFilteredByRow(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]json.RawMessage{nil, {json.RawMessage(`{"id":"a","f":{"x":1,"y":[]}}`), json.RawMessage(`{"id":"b"}`)}} {
		whole, err := elastic.FilterPage(7, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, paths := range [][]string{
			{"count"},
			{"results"},
			{"results.id"},
			{"results.f.x", "count"},
			{"*"},
			{"**"},
			{"**.x"},
			{"re*.f"},
			{"nothing"},
			{"results.nothing"},
			{"**.results"},
			{"-count"},
			{"-results"},
			{"-results.id"},
			{"-**.x"},
			{"results", "-results.f"},
			{"-*"},
			{"results.**"},
			{"results.*"},
			{"count.x"},
			{"-results.*"},
		} {
			want, err := elastic.FilterPaths(whole, paths)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := elastic.FilterPage(7, rows, paths); err != nil || string(got) != string(want) {
				t.Errorf("%d rows, %q: %s, %v, want %s", len(rows), paths, got, err, want)
			}
		}
	}
}

// However large documents are, a page of them is bounded, and all of them can be read and
// deleted.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	large := `{"sync_cursor":{"at":"` + strings.Repeat("<", elastic.MaxBody-10_000) + `"}}`
	for i := range 5 {
		path := fmt.Sprint("/_connector/c", i)
		w.want("PUT", path, `{"service_type":"s","index_name":"i`+fmt.Sprint(i)+`"}`, 201)
		w.want("PUT", path+"/_last_sync", large, 200)
		w.want("POST", "/_connector/_sync_job", `{"id":"c0"}`, 201)
	}
	for _, list := range []string{"/_connector?", "/_connector/_sync_job?"} {
		got := w.want("GET", list, "", 400)["error"].(map[string]any)["reason"]
		if got != "the rows of the page have more than 16 MiB; ask for fewer with size" {
			t.Errorf("%s: %v", list, got)
		}
		if ids, total := w.ids(list + "size=2&from=3"); len(ids) != 2 || total != "5" {
			t.Errorf("%s: %v of %s", list, ids, total)
		}
		if ids, _ := w.ids(list + "size=1&pretty&filter_path=count,results.id"); len(ids) != 1 {
			t.Errorf("%s: %v", list, ids)
		}
		if body := w.do("viewer", "GET", list+"size=1&pretty", "").body; bytes.Contains(body, []byte("\n")) {
			t.Errorf("%s: %d bytes are indented", list, len(body))
		}
	}
	w.want("DELETE", "/_connector/c0?delete_sync_jobs=true", "", 200)
	if ids, total := w.ids("/_connector/_sync_job"); len(ids) != 0 || total != "0" {
		t.Errorf("jobs are left: %v of %s", ids, total)
	}
}

// No query breaks a list, and no answer is anything but JSON of the dialect.
func FuzzListQuery(f *testing.F) {
	for _, q := range []string{"from=1&size=2", "query=%2A", "index_name=a,b", "status=pending", "from=-1", "filter_path=**.id&pretty", "job_type=full,half", "connector_id=x%00", "size=1e3", "query=%ff", ";", "%zz"} {
		f.Add("/_connector", q)
		f.Add("/_connector/_sync_job", q)
	}
	w := newWorld(f)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)
	f.Fuzz(func(t *testing.T, path, query string) {
		if path != "/_connector" {
			path = "/_connector/_sync_job"
		}
		if _, err := url.Parse("http://h/?" + query); err != nil || strings.ContainsAny(query, "# \x7f") || strings.IndexFunc(query, func(r rune) bool { return r < ' ' }) >= 0 {
			return
		}
		here := *w
		here.TB = t
		r := here.do("viewer", "GET", path+"?"+query, "")
		if r.status != http.StatusOK && r.status != http.StatusBadRequest {
			t.Fatalf("%s?%s: %d %s", path, query, r.status, r.body)
		}
	})
}
