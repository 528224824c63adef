package dbtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func testConnectors(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	put := func(c history.Connector, want bool) {
		t.Helper()
		created, err := w.s.PutConnector(t.Context(), c, task.Actor{})
		w.must(err)
		if created != want {
			t.Fatalf("connector %s: created is %v", c.ID, created)
		}
	}
	put(history.Connector{Project: "p", ID: "a", IndexName: "i", Name: "Ann", ServiceType: "s3", Doc: []byte(`{"n":1}`)}, true)
	put(history.Connector{Project: "p", ID: "a", IndexName: "i", Name: "Ann\x00", Doc: []byte(`{"n":2}`)}, false)
	put(history.Connector{Project: "q", ID: "a", IndexName: "i", Doc: []byte(`{"n":3}`)}, true)
	_, err := w.s.PutConnector(t.Context(), history.Connector{Project: "p", ID: "b", IndexName: "i", Doc: []byte(`{}`)}, task.Actor{})
	wantKind(t, "index name twice", err, task.Conflict)
	got, err := w.s.Connector(t.Context(), "p", "a")
	w.must(err)
	if got.IndexName != "i" || string(got.Doc) != `{"n":2}` || got.ServiceType != "" || got.ChangedAt.IsZero() {
		t.Fatalf("got %+v", got)
	}
	_, err = w.s.Connector(t.Context(), "p", "b")
	wantKind(t, "unknown connector", err, task.NotFound)
	_, err = w.s.Connector(t.Context(), "p", "a\x00")
	wantKind(t, "an id with a NUL", err, task.NotFound)

	entries, _, err := w.s.VerifyAudit(t.Context())
	w.must(err)
	w.must(w.s.UpdateConnector(t.Context(), "p", "a", "", task.Actor{}, func(c *history.Connector) error {
		c.Doc = []byte(`{"n":4}`)
		return nil
	}))
	if n, _, err := w.s.VerifyAudit(t.Context()); err != nil || n != entries {
		t.Fatalf("a report made %d audit entries, %v", n-entries, err)
	}
	delete := func(c *history.Connector) error { c.Deleted = true; return nil }
	w.must(w.s.UpdateConnector(t.Context(), "p", "a", "connector.delete", task.Actor{}, delete))
	put(history.Connector{Project: "p", ID: "b", IndexName: "i", Doc: []byte(`{}`)}, true) // the name is free
	wantKind(t, "update of nothing", w.s.UpdateConnector(t.Context(), "p", "c", "x", task.Actor{}, delete), task.NotFound)
	refused := task.Errorf(task.Invalid, "no")
	wantKind(t, "refused update", w.s.UpdateConnector(t.Context(), "p", "b", "x", task.Actor{}, func(*history.Connector) error { return refused }), task.Invalid)
	w.must(w.s.DeleteConnector(t.Context(), "p", "a", task.Actor{}))
	wantKind(t, "delete twice", w.s.DeleteConnector(t.Context(), "p", "a", task.Actor{}), task.NotFound)
	if _, err := w.s.Connector(t.Context(), "q", "a"); err != nil {
		t.Fatal("another project's was deleted", err)
	}
}

// Byte order decides, on every engine and in every locale.
func testConnectorsListed(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	names := []string{"b", "a-b", "a.b", "ab", "a_b", "lockstep-", "é", "z"}
	long := strings.Repeat("N", 1024)
	for i, n := range names {
		_, err := w.s.PutConnector(t.Context(), history.Connector{Project: "p", ID: fmt.Sprint(i), IndexName: n, Name: "N" + n, Doc: []byte(`{}`), Deleted: n == "z"}, task.Actor{})
		w.must(err)
	}
	_, err := w.s.PutConnector(t.Context(), history.Connector{Project: "q", ID: "long", Name: long, Doc: []byte(`{}`)}, task.Actor{})
	w.must(err)
	if _, total, err := w.s.Connectors(t.Context(), "q", history.ConnectorFilter{Names: []string{long}}); err != nil || total != 1 {
		t.Fatalf("%d connectors have the longest name, %v", total, err)
	}
	want := slices.Sorted(slices.Values(append(slices.Clone(names[:len(names)-1]), "lockstep-"+string(w.task.ID))))
	for from := range want {
		page, total, err := w.s.Connectors(t.Context(), "p", history.ConnectorFilter{From: from, Size: 3})
		w.must(err)
		var got []string
		for _, r := range page {
			if r.Task != nil {
				r.Connector.IndexName = "lockstep-" + string(r.Task.ID)
			}
			got = append(got, r.Connector.IndexName)
		}
		if !slices.Equal(got, want[from:min(from+3, len(want))]) || total != int64(len(want)) {
			t.Fatalf("from %d: %q of %d, want %q", from, got, total, want)
		}
	}
	for _, c := range []struct {
		f    history.ConnectorFilter
		want int64
	}{
		{history.ConnectorFilter{Deleted: true}, 9},
		{history.ConnectorFilter{Names: []string{"Nb", "Nz"}}, 1},
		{history.ConnectorFilter{Names: []string{"Nb", "Nz"}, Deleted: true, IndexNames: []string{"z"}}, 1},
		{history.ConnectorFilter{ServiceTypes: []string{"s3"}}, 0},
		{history.ConnectorFilter{ServiceTypes: []string{history.ManagedServiceType}}, 1},
		{history.ConnectorFilter{Match: func(index, _, _ string) bool { return index == "é" }}, 1},
	} {
		if page, total, err := w.s.Connectors(t.Context(), "p", c.f); err != nil || total != c.want || len(page) != 0 {
			t.Fatalf("%+v: %d of %d, %v", c.f, len(page), total, err)
		}
	}
}

// Changes made at once lose nothing, whether they go through the audit chain or not.
func testConnectorsAtOnce(t *testing.T, open Open) {
	w := newWorld(t, open, db.Config{})
	_, err := w.s.PutConnector(t.Context(), history.Connector{Project: "p", ID: "a", Doc: []byte(`x`)}, task.Actor{})
	w.must(err)
	var wg sync.WaitGroup
	for i := range 40 {
		action := ""
		if i%2 == 0 {
			action = "connector.update_name"
		}
		wg.Go(func() {
			if err := w.s.UpdateConnector(t.Context(), "p", "a", action, task.Actor{}, func(c *history.Connector) error {
				c.Doc = append(c.Doc, 'x')
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := w.s.Connector(t.Context(), "p", "a"); err != nil || len(got.Doc) != 41 {
		t.Fatalf("%d of 40 changes are there, %v", len(got.Doc)-1, err)
	}
}
