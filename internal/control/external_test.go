package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Only those who may report do, in their own project and through their own dialect.
func TestExternalJobsBelongToTheirDialect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	app := control.Caller{Project: "p", Role: task.Operator, Actor: task.Actor{Key: "app", Dialect: task.DIDSpaces}}
	report := history.ExternalReport{Subject: "s", Type: "t", Status: "pending"}
	j, err := w.ReportExternal(t.Context(), app, report)
	w.must(err)
	nothing := func(*history.ExternalJob) error { return nil }
	for _, role := range []task.Role{task.Viewer, task.EventOnly} {
		who := app
		who.Role = role
		_, err := w.ReportExternal(t.Context(), who, report)
		w.wantCode(string(role)+" reports", err, control.CodeRoleDenied)
		_, err = w.UpdateExternal(t.Context(), who, j.ID, nothing)
		w.wantCode(string(role)+" updates", err, control.CodeRoleDenied)
		w.wantCode(string(role)+" deletes", w.DeleteExternal(t.Context(), who, j.ID), control.CodeRoleDenied)
		w.wantCode(string(role)+" expects", w.ExpectExternal(t.Context(), who, "s", "", time.Hour), control.CodeRoleDenied)
	}
	elastic, stranger := app, app
	elastic.Actor.Dialect, stranger.Project = task.Elastic, "q"
	for name, who := range map[string]control.Caller{"another dialect": elastic, "another project": stranger} {
		_, err := w.ExternalJob(t.Context(), who, j.ID)
		w.wantCode(name+" reads", err, "JOB_NOT_FOUND")
		_, err = w.UpdateExternal(t.Context(), who, j.ID, nothing)
		w.wantCode(name+" updates", err, "JOB_NOT_FOUND")
		w.wantCode(name+" deletes", w.DeleteExternal(t.Context(), who, j.ID), "JOB_NOT_FOUND")
		rows, total, err := w.ExternalJobs(t.Context(), who, history.ExternalFilter{Origin: who.Actor.Dialect, Managed: true}, 0, 10)
		if err != nil || total != 0 || len(rows) != 0 {
			t.Fatalf("%s lists %+v, %v", name, rows, err)
		}
	}
	_, _, err = w.ExternalJobs(t.Context(), app, history.ExternalFilter{Origin: task.DIDSpaces}, history.MaxExternalRow-9, 10)
	w.wantCode("a page too far", err, control.CodePageTooFar)
	_, _, err = w.ExternalJobs(t.Context(), app, history.ExternalFilter{Origin: task.DIDSpaces}, -1, 10)
	w.wantCode("a page before the first", err, control.CodePageTooFar)

	for name, bad := range map[string]history.ExternalReport{
		"NUL": {Subject: "a\x00"}, "long": {Subject: strings.Repeat("x", 513)}, "no UTF-8": {Status: "\xff"},
	} {
		_, err := w.ReportExternal(t.Context(), app, bad)
		w.wantCode(name, err, "BAD_TEXT")
	}
	bad := history.ExternalReport{Subject: "s", Counts: task.Counts{Requested: 1, Synced: 2}}
	_, err = w.ReportExternal(t.Context(), app, bad)
	w.wantCode("counts that do not add up", err, "BAD_COUNTS")
	_, err = w.UpdateExternal(t.Context(), app, j.ID, func(j *history.ExternalJob) error { j.Counts.Failed = -1; return nil })
	w.wantCode("counts below zero", err, "BAD_COUNTS")
	for _, id := range []task.JobID{"", "a\x00", "\xff", task.JobID(strings.Repeat("x", 1000))} {
		_, err := w.UpdateExternal(t.Context(), app, id, nothing)
		w.wantCode("an id that cannot be", err, "JOB_NOT_FOUND")
		_, err = w.ExternalJob(t.Context(), app, id)
		w.wantCode("an id that cannot be", err, "JOB_NOT_FOUND")
		w.wantCode("an id that cannot be", w.DeleteExternal(t.Context(), app, id), "JOB_NOT_FOUND")
	}
	w.must(w.DeleteExternal(t.Context(), app, j.ID))
}

func TestEnterApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, control.Config{})
	const did = "zNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpng6"
	_, _, err := w.EnterApp(t.Context(), did)
	w.wantCode("an app that nobody knows", err, control.CodeAppUnknown)
	a, made, err := w.RegisterApp(t.Context(), w.admin, "did:abt:"+did, "Photos")
	w.must(err)
	who, again, err := w.EnterApp(t.Context(), did)
	w.must(err)
	if !made || again != a || who.Project != "p" || who.Actor.Dialect != task.DIDSpaces || !strings.Contains(string(who.Actor.Key), did) {
		t.Fatalf("entered as %+v", who)
	}
	// An app reports; it runs nothing and makes no keys.
	_, _, err = w.CreateKey(t.Context(), who, control.NewKey{Role: task.Viewer})
	w.wantCode("an app makes a key", err, control.CodeRoleDenied)
	_, _, err = w.RegisterApp(t.Context(), who, did, "")
	w.wantCode("an app registers apps", err, control.CodeRoleDenied)
	_, _, err = w.RegisterApp(t.Context(), w.admin, did[:30], "")
	w.wantCode("a DID with a part missing", err, "BAD_DID")
}
