package db_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/history"
)

// A list that looks at connectors one by one stops where no page can end.
func TestMatchesAreCountedToTheLastRow(t *testing.T) {
	t.Parallel()
	s, err := db.Open(t.Context(), db.Config{Path: filepath.Join(t.TempDir(), "lockstep.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Exec(t.Context(), `WITH RECURSIVE n(i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < 20500)
		INSERT INTO connectors (project, id, unnamed, index_name, name, service_type, description, deleted, doc, changed_at)
		SELECT 'p', 'c' || i, 0, 'i' || i, '', '', '', 0, '{}', 1 FROM n`); err != nil {
		t.Fatal(err)
	}
	looked := 0
	f := history.ConnectorFilter{From: history.MaxConnectorRow - 1, Size: 1, Match: func(index, _, _ string) bool {
		looked++
		return strings.HasPrefix(index, "i")
	}}
	page, total, err := s.Connectors(t.Context(), "p", f)
	if err != nil || total != history.MaxConnectorRow || len(page) != 1 || page[0].Connector.ID != "c20000" || looked != history.MaxConnectorRow {
		t.Fatalf("%d of %d after looking at %d, %v", len(page), total, looked, err)
	}
	f.Match = func(index, _, _ string) bool { return index > "i20400" }
	if _, total, err = s.Connectors(t.Context(), "p", f); err != nil || total != 100 {
		t.Fatalf("%d match, %v", total, err)
	}
}
