package native_test

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/history"
	"github.com/lockstep-sync/lockstep/internal/task"
)

const appDID = "zNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpng6"

func TestApps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var a native.App
	w.want(w.admin, "POST", "/apps", `{"did":"did:abt:`+appDID+`","name":"Photos"}`, 201, &a)
	if a.DID != appDID || a.Name != "Photos" || a.CreatedAt.IsZero() {
		t.Fatalf("app %+v", a)
	}
	w.want(w.admin, "POST", "/apps", `{"did":"`+appDID+`","name":"Pictures"}`, 201, &a)
	if a.Name != "Pictures" {
		t.Fatalf("app %+v", a)
	}
	w.want(w.admin, "POST", "/apps", `{"did":"`+appDID+`"}`, 201, &a)
	if a.Name != "Pictures" {
		t.Fatalf("app %+v", a)
	}
	var all native.Page[native.App]
	w.want(w.viewer, "GET", "/apps", "", 200, &all)
	if len(all.Items) != 1 || all.Items[0] != a {
		t.Fatalf("apps %+v", all)
	}
	w.want(w.stranger, "GET", "/apps", "", 200, &all)
	if len(all.Items) != 0 {
		t.Fatalf("apps of a stranger %+v", all)
	}
	w.refused(w.operator, "POST", "/apps", `{"did":"`+appDID+`"}`, 403, "ROLE_DENIED")
	w.refused(w.admin, "POST", "/apps", `{"did":"`+appDID[:35]+`x"}`, 400, "BAD_DID")
	w.refused(w.admin, "POST", "/apps", `{"name":"x"}`, 400, "BAD_REQUEST")
	w.refused(w.admin, "POST", "/apps", `{"did":"`+appDID+`","other":1}`, 400, "BAD_REQUEST")
	w.refused(w.stranger, "POST", "/apps", `{"did":"`+appDID+`"}`, 409, "APP_TAKEN")
	w.refused(w.stranger, "DELETE", "/apps/"+appDID, "", 404, "APP_NOT_FOUND")
	w.refused(w.operator, "DELETE", "/apps/"+appDID, "", 403, "ROLE_DENIED")
	w.want(w.admin, "DELETE", "/apps/did:abt:"+appDID, "", 204, nil)
	w.refused(w.admin, "DELETE", "/apps/"+appDID, "", 404, "APP_NOT_FOUND")
}

// What other programs report is beside Lockstep's own jobs.
func TestExternalJobsAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	who := control.Caller{Project: "p", Role: task.Operator, Actor: task.Actor{Key: "app", Dialect: task.DIDSpaces}}
	n := task.Counts{Requested: 3, Synced: 2, Failed: 1, Bytes: 9}
	made, err := w.control.ReportExternal(t.Context(), who, history.ExternalReport{Subject: "app", Type: "sync", Status: "failed", State: task.JobFailed, Counts: n, Why: "no"})
	w.must(err)
	var jobs native.Page[native.Job]
	w.want(w.viewer, "GET", "/jobs?kind=external", "", 200, &jobs)
	if len(jobs.Items) != 1 || jobs.Items[0].ID != made.ID || jobs.Items[0].Origin != task.DIDSpaces || jobs.Items[0].Subject != "app" ||
		jobs.Items[0].Counts.Counts != n || jobs.Items[0].Task != "" || jobs.Items[0].Why != "no" || jobs.Items[0].EndedAt == nil {
		t.Fatalf("jobs %+v", jobs)
	}
	w.must(w.control.ExpectExternal(t.Context(), who, "app", "Photos", time.Hour))
	var all native.Page[native.External]
	w.want(w.viewer, "GET", "/external", "", 200, &all)
	if len(all.Items) != 1 || all.Items[0].Name != "Photos" || all.Items[0].Every != 3600 || all.Items[0].ReportedAt == nil || all.Items[0].SucceededAt != nil || all.Items[0].Late {
		t.Fatalf("subjects %+v", all)
	}
	w.want(w.stranger, "GET", "/external", "", 200, &all)
	if len(all.Items) != 0 {
		t.Fatalf("subjects of a stranger %+v", all)
	}
	w.refused(w.stranger, "GET", "/jobs/"+string(made.ID), "", 404, "JOB_NOT_FOUND")
	w.refused(w.operator, "POST", "/jobs/"+string(made.ID)+"/cancel", "", 409, "JOB_EXTERNAL")
}
