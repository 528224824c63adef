package native_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// TestCopyRules makes tasks that check, restore and encrypt, and none that cannot.
func TestCopyRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addTask("t1")
	w.want(w.admin, "POST", "/endpoints", `{"name":"kms","provider":"generic","url":"http://127.0.0.1:1"}`, 201, nil)
	with := func(dst, options string) string {
		return fmt.Sprintf(`{"name":"x","source":{"endpoint":"src","bucket":"b"},"destination":{"endpoint":%q,"bucket":"b","prefix":"x/"},"options":{%s}}`, dst, options)
	}
	w.refused(w.operator, "POST", "/tasks", with("dst", `"encrypt":"aws:kms"`), 400, "ENCRYPTION_UNSUPPORTED")
	w.refused(w.operator, "PATCH", "/tasks/t1", `{"options":{"encrypt":"aws:kms"}}`, 400, "ENCRYPTION_UNSUPPORTED")
	for _, bad := range []string{`"verify":"md5"`, `"encrypt":"rot13"`} {
		if a := w.do(w.operator, "POST", "/tasks", with("kms", bad)); a.status/100 != 4 || !strings.Contains(string(a.body), strings.SplitN(bad, `"`, 3)[1]) {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	var k native.Task
	w.want(w.operator, "POST", "/tasks", with("kms", `"verify":"crc64","restore":true,"encrypt":"aws:kms"`), 201, nil)
	w.want(w.viewer, "GET", "/tasks/x", "", 200, &k)
	if d := cmp.Diff(task.Options{Verify: task.VerifyCRC64, Restore: true, Encrypt: "aws:kms"}, k.Options); d != "" {
		t.Error(d)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					Description string
					Enum        []string
				}
			}
		}
	}
	w.want(client{}, "GET", "/openapi.json", "", 200, &doc)
	options := doc.Components.Schemas["Options"].Properties
	for name, values := range map[string][]string{"verify": {"size_last_modified", "crc64", "transmission"}, "restore": nil, "encrypt": {"aws:kms"}} {
		if p := options[name]; p.Description == "" || !cmp.Equal(p.Enum, values) {
			t.Errorf("%s is described by %+v", name, p)
		}
	}
}
