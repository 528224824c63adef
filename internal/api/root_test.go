package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api"
)

// One object is OMS's list of versions and Elasticsearch's greeting; browsers get a page.
func TestRootAnswersEverybody(t *testing.T) {
	t.Parallel()
	ask := func(method, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://h:1/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		api.Root{Version: "v1"}.ServeHTTP(w, r)
		return w
	}
	for _, accept := range []string{"", "*/*", "application/json", "application/vnd.elasticsearch+json;compatible-with=9"} {
		w := ask(http.MethodGet, accept)
		var got struct {
			Name     string
			Version  struct{ Number string }
			Tagline  string
			Versions []struct {
				ID     string
				Status string
				Links  []struct{ Href, Rel string }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Name == "" || got.Version.Number == "" || got.Tagline == "" || len(got.Versions) != 1 || got.Versions[0].ID != "v2" ||
			got.Versions[0].Links[0].Href != "http://h:1/v2" || w.Header().Get("X-Elastic-Product") != "Elasticsearch" {
			t.Errorf("%q: %s", accept, w.Body)
		}
	}
	w := ask(http.MethodGet, "text/html,application/xhtml+xml,*/*;q=0.8")
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Body.String(), "<h1>Lockstep</h1>") {
		t.Errorf("a browser gets %s", w.Body)
	}
	if w := ask(http.MethodPost, ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}
