package native_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// operation is what every route must do with requests that are not in order.
type operation struct {
	method, path string // {task}, {job}, {endpoint}, {key} and {did} are filled in
	body         string // in order
	bad          string // a body that is refused with 400; empty: the route takes none
	denied       []task.Role
	status       int    // of a request in order, by an admin
	missing      string // code when what the path names does not exist
}

var (
	readers  = []task.Role{task.EventOnly}
	senders  = []task.Role{task.Viewer}
	workers  = []task.Role{task.EventOnly, task.Viewer}
	admins   = []task.Role{task.EventOnly, task.Viewer, task.Operator}
	noTask   = "TASK_NOT_FOUND"
	noJob    = "JOB_NOT_FOUND"
	noStore  = "ENDPOINT_NOT_FOUND"
	newTask  = `{"name":"%s","source":{"endpoint":"src","bucket":"b2"},"destination":{"endpoint":"dst","bucket":"b2","prefix":"x/"}}`
	someTime = "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
)

var operations = []operation{
	{"POST", "/endpoints", `{"name":"e9","provider":"mem"}`, `{"name":"e/9","provider":"mem"}`, admins, 201, ""},
	{"GET", "/endpoints", "", "", readers, 200, ""},
	{"GET", "/endpoints/{endpoint}", "", "", readers, 200, noStore},
	{"PUT", "/endpoints/{endpoint}/credentials", `{"access_key":"a","secret_key":"b"}`, `{"secret_key":"b"}`, admins, 200, noStore},
	{"POST", "/endpoints/{endpoint}/check", `{"bucket":"b"}`, `{"bucket":""}`, admins, 200, noStore},
	{"POST", "/tasks", fmt.Sprintf(newTask, "t9"), `{"name":"t8"}`, workers, 201, ""},
	{"GET", "/tasks", "", "", readers, 200, ""},
	{"GET", "/tasks/{task}", "", "", readers, 200, noTask},
	{"PATCH", "/tasks/{task}", `{"description":"d"}`, `{"name":"\u0007"}`, workers, 200, noTask},
	{"POST", "/tasks/{task}/hook", `{"rotate":true}`, `{"rotate":"x"}`, workers, 201, noTask},
	{"DELETE", "/tasks/{task}/hook", "", "", workers, 204, noTask},
	{"POST", "/tasks/{task}/events", `{"keys":["a"]}`, `{"keys":[""]}`, senders, 202, noTask},
	{"POST", "/tasks/{task}/manifest", "", "", workers, 415, ""}, // tested by itself
	{"POST", "/tasks/{task}/scan", "", "", workers, 202, noTask},
	{"POST", "/tasks/{task}/retry", `{"reason":"DST_DENIED"}`, `{"key":"a","key_base64":"AA=="}`, workers, 202, noTask},
	{"POST", "/tasks/{task}/explain", `{"key":"a"}`, `{}`, readers, 200, noTask},
	{"POST", "/tasks/{task}/prove", "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/failures", "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/reasons", "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/statistics" + someTime, "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/statistics/month", "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/status", "", "", readers, 200, noTask},
	{"GET", "/tasks/{task}/live", "", "", readers, 0, noTask}, // does not end
	{"GET", "/status", "", "", readers, 200, ""},
	{"GET", "/jobs", "", "", readers, 200, ""},
	{"GET", "/jobs/{job}", "", "", readers, 200, noJob},
	{"POST", "/jobs/{job}/prove", "", "", readers, 200, noJob},
	{"POST", "/jobs/{job}/cancel", "", "", workers, 200, noJob},
	{"GET", "/audit", "", "", workers, 200, ""},
	{"POST", "/audit/verify", "", "", admins, 200, ""},
	{"POST", "/keys", `{"role":"viewer"}`, `{"role":"king"}`, admins, 201, ""},
	{"GET", "/keys", "", "", admins, 200, ""},
	{"POST", "/keys/{key}/token", `{"ttl_seconds":60}`, `{"ttl_seconds":-1}`, admins, 201, "KEY_NOT_FOUND"},
	{"DELETE", "/keys/{key}", "", "", admins, 204, "KEY_NOT_FOUND"},
	{"GET", "/external", "", "", readers, 200, ""},
	{"POST", "/apps", `{"did":"` + appDID + `"}`, `{"did":"zNK"}`, admins, 201, ""},
	{"GET", "/apps", "", "", readers, 200, ""},
	{"DELETE", "/apps/{did}", "", "", admins, 204, "APP_NOT_FOUND"},
	{"POST", "/notifications", `{"url":"http://127.0.0.1:1/"}`, `{"url":"ftp://x"}`, admins, 201, ""},
	{"GET", "/notifications", "", "", admins, 200, ""},
	{"DELETE", "/notifications/{notification}", "", "", admins, 204, "NOTIFICATION_NOT_FOUND"},
	{"POST", "/tasks/{task}/pause", "", "", workers, 200, noTask},
	{"POST", "/tasks/{task}/resume", "", "", workers, 200, noTask},
	{"POST", "/tasks/{task}/stop", "", "", workers, 200, noTask},
	{"POST", "/tasks/{task}/start", "", "", workers, 200, noTask},
	{"DELETE", "/tasks/{task}", "", "", workers, 409, noTask}, // it is not stopped
	{"DELETE", "/endpoints/{endpoint}", "", "", admins, 409, noStore},
}

// TestEveryOperation sends each route requests of nobody, of wrong roles, for what does
// not exist and what is another project's, with a bad body, and in order.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.addTask("t1")
	var j native.Job
	w.want(w.operator, "POST", "/tasks/t1/scan", "", 202, &j)
	w.want(w.operator, "POST", "/jobs/"+string(j.ID)+"/cancel", "", 200, nil)
	var spare native.AccessKey
	w.want(w.admin, "POST", "/keys", `{"role":"viewer"}`, 201, &spare)
	var told native.Notification
	w.want(w.admin, "POST", "/notifications", `{"url":"http://127.0.0.1:1/","events":["recovered"]}`, 201, &told)
	job := ""
	fill := func(path, id string) string {
		r := strings.NewReplacer("{task}", string(k.ID), "{job}", job, "{endpoint}", "src", "{key}", string(spare.ID), "{notification}", told.ID, "{did}", appDID)
		if id != "" {
			r = strings.NewReplacer("{task}", id, "{job}", id, "{endpoint}", id, "{key}", id, "{notification}", id, "{did}", id)
		}
		return r.Replace(path)
	}
	byRole := map[task.Role]client{task.EventOnly: w.sender, task.Viewer: w.viewer, task.Operator: w.operator}
	for _, op := range operations {
		var accepted native.Accepted
		if strings.Contains(op.path, "{job}") { // a job that has not ended
			w.want(w.sender, "POST", "/tasks/t1/events", `{"keys":["x"]}`, 202, &accepted)
			job = string(accepted.Job)
		}
		path := fill(op.path, "")
		w.refused(client{}, op.method, path, op.body, 401, "BAD_CREDENTIALS")
		w.refused(client{w.admin.id, "wrong"}, op.method, path, op.body, 401, "BAD_CREDENTIALS")
		for _, role := range op.denied {
			if op.path == "/tasks/{task}/manifest" {
				continue
			}
			w.refused(byRole[role], op.method, path, op.body, 403, "ROLE_DENIED")
		}
		if op.missing != "" {
			w.refused(w.admin, op.method, fill(op.path, "no-such-thing"), op.body, 404, op.missing)
			w.refused(w.stranger, op.method, path, op.body, 404, op.missing)
		}
		if op.bad != "" {
			for _, body := range []string{op.bad, `[]`, `{"unknown_field":1}`, `{`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`} {
				a := w.do(w.admin, op.method, path, body)
				var p native.Problem
				if err := json.Unmarshal(a.body, &p); a.status != 400 || err != nil || p.Code == "" {
					t.Errorf("%s %s with %s: %d %s", op.method, path, body, a.status, a.body)
				}
			}
		}
		if op.status != 0 {
			w.want(w.admin, op.method, path, op.body, op.status, nil)
		}
	}
	for _, leak := range []string{w.admin.secret, w.viewer.secret, "s3cr3t"} {
		if strings.Contains(w.log.String(), leak) {
			t.Errorf("the log holds the secret %q", leak)
		}
	}
}

// TestDocument holds the table above against the OpenAPI document.
func TestDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
			Parameters  []struct{ Name, In string }
		}
	}
	a := w.want(client{}, "GET", "/openapi.json", "", 200, &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || a.header.Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("OpenAPI %s of type %s", doc.OpenAPI, a.header.Get("Content-Type"))
	}
	known := map[string]bool{}
	for _, op := range operations {
		path, _, _ := strings.Cut(op.path, "?")
		known[op.method+" "+strings.NewReplacer("{endpoint}", "{name}", "{key}", "{id}", "{notification}", "{id}").Replace(path)] = true
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if !known[name] {
				t.Errorf("no test sends %s", name)
			}
			delete(known, name)
			if ids[op.OperationID] || op.OperationID == "" || len(op.Responses) < 2 {
				t.Errorf("%s: operation %q with %d responses", name, op.OperationID, len(op.Responses))
			}
			ids[op.OperationID] = true
			heeds := false
			for _, p := range op.Parameters {
				heeds = heeds || p.Name == "Idempotency-Key" && p.In == "header"
			}
			if write := method != "get" && !strings.HasSuffix(path, "/manifest"); heeds != write {
				t.Errorf("%s names an idempotency key: %v", name, heeds)
			}
		}
	}
	for name := range known {
		t.Errorf("the document has no %s", name)
	}
}

// TestRefusalsAreDocumented sends each operation that takes a body every kind of body that
// is refused, and holds the statuses that came against those of the OpenAPI document.
func TestRefusalsAreDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody *struct{ Content map[string]any }
			Responses   map[string]struct{ Content map[string]any }
		}
	}
	w.want(client{}, "GET", "/openapi.json", "", 200, &doc)
	large := `{"name":"` + strings.Repeat("x", 17<<20) + `"}`
	bodies := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			if _, there := op.Responses["422"]; there {
				t.Errorf("%s: 422 is never answered", name)
			}
			for status, r := range op.Responses {
				if status >= "400" && r.Content["application/problem+json"] == nil {
					t.Errorf("%s: %s is no problem: %v", name, status, r.Content)
				}
			}
			if op.RequestBody == nil {
				continue
			}
			bodies++
			at := strings.NewReplacer("{task}", "t1", "{name}", "src", "{id}", "x", "{did}", appDID).Replace(path)
			answers := map[string]int{
				"no JSON":       w.do(w.admin, strings.ToUpper(method), at, `{`).status,
				"another thing": w.do(w.admin, strings.ToUpper(method), at, `[]`).status,
				"unknown field": w.do(w.admin, strings.ToUpper(method), at, `{"unknown_field":1}`).status,
				"another type":  w.do(w.admin, strings.ToUpper(method), at, `x`, "Content-Type", "image/png").status,
			}
			if op.RequestBody.Content["application/json"] != nil {
				answers["too large"] = w.do(w.admin, strings.ToUpper(method), at, large).status
			}
			for what, status := range answers {
				want := map[string]int{"too large": 413, "another type": 415}[what]
				if want == 0 {
					want = 400
				}
				if op.RequestBody.Content["application/json"] == nil {
					want = 415
				}
				if _, there := op.Responses[fmt.Sprint(status)]; !there || status != want {
					t.Errorf("%s, %s: %d, want %d; the document has %d: %v", name, what, status, want, status, there)
				}
			}
		}
	}
	if bodies < 10 {
		t.Errorf("only %d operations take a body", bodies)
	}
}

func TestPathsAreRaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("a/b c")
	var k native.Task
	w.want(w.viewer, "GET", "/tasks/a%2Fb%20c", "", 200, &k)
	if k.Name != "a/b c" {
		t.Fatalf("task %+v", k)
	}
	for _, path := range []string{"//tasks", "/tasks/", "/tasks//status", "/./tasks", "/x/../tasks", "", "/", "/tasks/a/b%20c", "/nothing"} {
		w.refused(w.viewer, "GET", path, "", 404, "PATH_NOT_FOUND")
	}
	w.refused(w.viewer, "PUT", "/tasks", "", 405, "METHOD_NOT_ALLOWED")
	if a := w.do(w.viewer, "DELETE", "/status", ""); a.header.Get("Allow") != "GET" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
	if a := w.do(w.viewer, "HEAD", "/tasks", ""); a.status != 200 || len(a.body) != 0 {
		t.Errorf("HEAD: %d", a.status)
	}
	w.refused(w.viewer, "GET", "/tasks?colour=red", "", 400, "BAD_REQUEST")
	if a := w.do(client{}, "GET", "/tasks", "", "Authorization", "Bearer "+w.viewer.id+":"+w.viewer.secret); a.status != 200 {
		t.Errorf("bearer: %d %s", a.status, a.body)
	}
	if a := w.do(client{}, "GET", "/tasks", ""); a.header.Get("WWW-Authenticate") == "" {
		t.Error("nobody says how to authenticate")
	}
}
