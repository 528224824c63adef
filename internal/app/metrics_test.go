package app

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestAlertsNameMetrics holds the alert rules against the metrics there are, and wants
// words for each metric.
func TestAlertsNameMetrics(t *testing.T) {
	t.Parallel()
	s := serviceIn(t, filepath.Join(t.TempDir(), "data"))
	t.Cleanup(func() { _ = s.Close() })
	known := map[string]bool{}
	desc := regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]*)"`)
	ch := make(chan *prometheus.Desc, 1000)
	s.metrics.registry.Describe(ch)
	close(ch)
	for d := range ch {
		m := desc.FindStringSubmatch(d.String())
		if m == nil || m[2] == "" {
			t.Errorf("%s has no words", d)
			continue
		}
		known[m[1]] = true
	}
	text, err := os.ReadFile("../../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Groups) != 1 || len(file.Groups[0].Rules) < 9 {
		t.Fatalf("%+v, %v", file, err)
	}
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range file.Groups[0].Rules {
		names := regexp.MustCompile(`lockstep_[a-z_]+`).FindAllString(r.Expr, -1)
		if len(names) == 0 && r.Alert != "LockstepDown" {
			t.Errorf("%s asks for no metric: %s", r.Alert, r.Expr)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s asks for %s, which nobody exports", r.Alert, name)
			}
		}
		if r.Annotations["summary"] == "" || !strings.Contains(string(operations), "`"+r.Alert+"`") {
			t.Errorf("%s has no summary, or operations.md does not say what to do", r.Alert)
		}
	}
	w := httptest.NewRecorder()
	s.metrics.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK || !strings.Contains(string(body), "# HELP lockstep_build_info") {
		t.Errorf("%d, %v\n%.2000s", w.Code, err, body)
	}
}

// A series is that of one subject, whoever reported last.
func TestSubjectsKeepTheirNames(t *testing.T) {
	t.Parallel()
	subject := func(origin task.Dialect, id, name string) history.ExternalSubject {
		return history.ExternalSubject{Origin: origin, ID: id, Name: name}
	}
	all := []history.ExternalSubject{
		subject(task.Elastic, "a", "books"), subject(task.Elastic, "b", "books"), subject(task.Elastic, "c", "films"),
		subject(task.Elastic, "d", ""), subject(task.Elastic, "films", ""), subject(task.DIDSpaces, "z", "films"),
	}
	want := map[string]string{"elastic a": "a", "elastic b": "b", "elastic c": "films", "elastic d": "d", "elastic films": "", "didspaces z": "films"}
	for range 2 {
		got := map[string]string{}
		for i, name := range subjectNames(all) {
			got[string(all[i].Origin)+" "+all[i].ID] = name
		}
		if !maps.Equal(got, want) {
			t.Errorf("names are %v, want %v", got, want)
		}
		slices.Reverse(all)
	}
}
