package tools_test

import (
	"fmt"
	"slices"
	"strings"
)

// seed is a Go file, and the finding it must cause.
type seed struct {
	file string // from the top of the repository
	text string // what the file says after its package clause
	// linter that complains, and a word of its complaint; "" when none may.
	linter, about string
}

// imports is a file at dir that imports the packages. The file is in a package of
// its own below dir, so that no two seeds make an import cycle.
func imports(linter, about, dir string, packages ...string) seed {
	var std, others, ours string
	for _, p := range packages {
		switch name := strings.Replace(p, "~", module+"/internal", 1); {
		case name != p:
			ours += fmt.Sprintf("\t_ %q\n", name)
		case strings.Contains(p, "."):
			others += fmt.Sprintf("\t_ %q\n", p)
		default:
			std += fmt.Sprintf("\t_ %q\n", p)
		}
	}
	return seed{dir, "import (\n" + std + "\n" + others + "\n" + ours + ")\n", linter, about}
}

// denied is a file at dir whose import of p breaks a depguard rule.
func denied(rule, dir, p string) seed { return imports("depguard", "'"+rule+"'", dir, p) }

// seeds hold, for every rule of depguard and every linter that .golangci.yml
// enables, one violation; and what is near the rules and allowed.
var seeds = slices.Concat(whoMayImportWhom, []seed{
	imports("", "", "internal/task/std.go", "errors", "io"),
	imports("", "", "internal/plan/types.go", "io", "iter", "~/objstore", "~/task"),
	imports("", "", "internal/plan/plan_test.go", "os", "~/objstore/mem"),
	imports("", "", "internal/objstore/s3/sdk.go", "github.com/minio/minio-go/v7", "net/http", "~/objstore", "~/objstore/s3/part"),
	imports("", "", "internal/objstore/s3/sdk_test.go", "~/task", "~/objstore/file"),
	imports("", "", "internal/objstore/objstoretest/s3server/bucket.go", "github.com/minio/minio-go/v7"),
	imports("", "", "internal/transfer/work.go", "~/objstore", "~/objstore/limit", "~/plan", "~/task"),
	imports("", "", "internal/api/oms/routes.go", "~/api", "~/control", "~/history", "~/task"),
	imports("", "", "internal/app/wire.go", "~/db", "~/objstore/file", "~/objstore/mem", "~/objstore/s3"),
	imports("", "", "internal/db/dbtest/open.go", "~/db"),
}, linters)

var whoMayImportWhom = []seed{
	denied("task-stands-alone", "internal/task/store.go", "~/objstore"),
	denied("task-stands-alone", "internal/task/third.go", "github.com/minio/minio-go/v7"),
	denied("task-stands-alone", "internal/task/task_test.go", "~/plan"),

	denied("plan-is-pure", "internal/plan/sql.go", "database/sql"),
	denied("plan-is-pure", "internal/plan/net.go", "net"),
	denied("plan-is-pure", "internal/plan/http.go", "net/http"),
	denied("plan-is-pure", "internal/plan/os.go", "os"),
	denied("plan-is-pure", "internal/plan/exec.go", "os/exec"),
	denied("plan-is-pure", "internal/plan/path.go", "path/filepath"),
	denied("plan-is-pure", "internal/plan/driver.go", "~/objstore/mem"),
	denied("plan-is-pure", "internal/plan/transfer.go", "~/transfer"),

	denied("stores-know-no-tasks", "internal/objstore/task.go", "~/task"),
	denied("stores-know-no-tasks", "internal/objstore/s3/task.go", "~/task"),
	denied("stores-know-no-tasks", "internal/objstore/file/plan.go", "~/plan"),
	denied("stores-know-no-tasks", "internal/objstore/mem/transfer.go", "~/transfer"),
	denied("stores-know-no-tasks", "internal/objstore/azure/worker.go", "~/worker"),
	denied("stores-know-no-tasks", "internal/objstore/gcs/queue.go", "~/queue"),
	denied("stores-know-no-tasks", "internal/objstore/http/db.go", "~/db"),
	denied("stores-know-no-tasks", "internal/objstore/retry/history.go", "~/history"),
	denied("stores-know-no-tasks", "internal/objstore/limit/control.go", "~/control"),
	denied("stores-know-no-tasks", "internal/objstore/meter/api.go", "~/api"),
	denied("stores-know-no-tasks", "internal/objstore/objstoretest/config.go", "~/config"),

	denied("transfer-keeps-no-record", "internal/transfer/db.go", "~/db"),
	denied("transfer-keeps-no-record", "internal/transfer/queue.go", "~/queue"),
	denied("transfer-keeps-no-record", "internal/transfer/history.go", "~/history"),
	denied("transfer-keeps-no-record", "internal/transfer/worker.go", "~/worker"),
	denied("transfer-keeps-no-record", "internal/transfer/control.go", "~/control"),

	denied("dialects-speak-to-control", "internal/api/store.go", "~/objstore"),
	denied("dialects-speak-to-control", "internal/api/oms/db.go", "~/db"),
	denied("dialects-speak-to-control", "internal/api/elastic/queue.go", "~/queue"),
	denied("dialects-speak-to-control", "internal/api/didspaces/worker.go", "~/worker"),
	denied("dialects-speak-to-control", "internal/api/native/store.go", "~/objstore/mem"),

	denied("didspaces-stands-alone", "internal/api/didspaces/other.go", "~/api/oms"),
	denied("elastic-stands-alone", "internal/api/elastic/other.go", "~/api/native"),
	denied("hooks-stand-alone", "internal/api/hooks/other.go", "~/api/native"),
	denied("timetable-is-pure", "internal/timetable/store.go", "~/objstore"),
	denied("timetable-is-pure", "internal/timetable/queue.go", "~/queue"),
	denied("native-stands-alone", "internal/api/native/other.go", "~/api/didspaces"),
	denied("oms-stands-alone", "internal/api/oms/other.go", "~/api/elastic"),

	denied("only-app-opens-the-database", "cmd/lockstep/db.go", "~/db"),
	denied("only-app-opens-the-database", "internal/control/db.go", "~/db"),
	denied("only-app-opens-the-database", "internal/console/db.go", "~/db/dbtest"),

	denied("only-app-opens-stores", "cmd/lockstep/s3.go", "~/objstore/s3"),
	denied("only-app-opens-stores", "internal/worker/file.go", "~/objstore/file"),
	denied("only-app-opens-stores", "internal/transfer/mem.go", "~/objstore/mem"),
	denied("only-app-opens-stores", "internal/control/azure.go", "~/objstore/azure"),
	denied("only-app-opens-stores", "internal/queue/gcs.go", "~/objstore/gcs"),
	denied("only-app-opens-stores", "internal/objstore/s3/http.go", "~/objstore/http"),

	denied("minio-go-behind-s3", "internal/objstore/sdk.go", "github.com/minio/minio-go/v7"),
	denied("minio-go-behind-s3", "internal/worker/sdk.go", "github.com/minio/minio-go/v7"),
	denied("minio-go-behind-s3", "cmd/lockstep/sdk.go", "github.com/minio/minio-go/v7"),
}

// linters: one mistake each.
var linters = []seed{
	{"internal/worker/bodyclose.go", `
import "net/http"
func F(req *http.Request) (int, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil { return 0, err }
	return resp.StatusCode, nil
}`, "bodyclose", "body"},
	{"internal/worker/containedctx.go", `
import "context"
type T struct { Ctx context.Context }`, "containedctx", "context.Context"},
	{"internal/app/contextcheck.go", `
import "context"
func f(ctx context.Context) error { return ctx.Err() }
func g() error { return f(context.Background()) }
func H(ctx context.Context) error { if ctx.Err() != nil { return nil }; return g() }`, "contextcheck", "g"},
	{"internal/worker/errcheck.go", `
import "os"
func F() { os.Remove("x") }`, "errcheck", "not checked"},
	{"internal/worker/close.go", `
import "os"
func F(f *os.File) { defer f.Close() }`, "errcheck", "not checked"},
	{"internal/worker/closeread.go", `
import "io"
func F(r io.ReadCloser) { defer r.Close() }`, "", ""},
	{"internal/worker/errorlint.go", `
import "io"
func F(err error) bool { return err == io.EOF }`, "errorlint", "wrapped"},
	{"internal/worker/forbidigo.go", `
import "context"
func F() error { return context.Background().Err() }`, "forbidigo", "take ctx from the caller"},
	{"internal/app/sleep.go", `
import "time"
func F() { time.Sleep(time.Second) }`, "forbidigo", "wait on a timer"},
	{"internal/app/background.go", `
import "context"
func F() error { return context.Background().Err() }`, "", ""},
	{"internal/worker/gofumpt.go", `
func F() {

	println()
}`, "gofumpt", "formatted"},
	{"internal/worker/gci.go", `
import (
	"github.com/minio/minio-go/v7"
	"os"
)

var _, _ = minio.V, os.Args`, "gci", "formatted"},
	{"internal/worker/govet.go", `
import "fmt"
func F() string { return fmt.Sprintf("%d", "text") }`, "govet", "wrong type"},
	{"internal/worker/ineffassign.go", `
func F() int { n := 1; n = 2; return n }`, "ineffassign", "n"},
	{"internal/worker/modernize.go", `
func F(n int) { for i := 0; i < n; i++ { println(i) } }`, "modernize", "range"},
	{"internal/worker/noctx.go", `
import "net/http"
func F() (*http.Request, error) { return http.NewRequest("GET", "http://x", nil) }`, "noctx", "NewRequest"},
	{"internal/worker/nolintlint.go", `
import "os"
func F() { os.Remove("x") } //nolint:errcheck`, "nolintlint", "explanation"},
	{"internal/worker/nolintbare.go", `
import "os"
func F() { os.Remove("x") } //nolint // gone already`, "nolintlint", "specific"},
	{"internal/db/rowserrcheck.go", `
import ("context"; "database/sql")
func F(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT 1")
	if err != nil { return err }
	defer func() { _ = rows.Close() }()
	for rows.Next() { println() }
	return nil
}`, "rowserrcheck", "rows.Err"},
	{"internal/worker/sloglint.go", `
import "log/slog"
func F() { slog.Info("x") }`, "sloglint", "default logger"},
	{"internal/db/sqlclosecheck.go", `
import ("context"; "database/sql")
func F(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT 1")
	if err != nil { return err }
	for rows.Next() { println() }
	return rows.Err()
}`, "sqlclosecheck", "close"},
	{"internal/worker/staticcheck.go", `
import "strings"
func F(s string) string { return strings.Replace(s, "a", "b", 0) }`, "staticcheck", "SA"},
	{"internal/worker/comment.go", "", "staticcheck", "ST1000"},
	{"internal/worker/unparam.go", `
import "os"
func f(name string, n int) int { if len(os.Args) > n { return n }; return len(name) }
func G() int { return f("a", 7) + f("b", 7) + f("c", 7) + f("d", 7) }`, "unparam", "always receives"},
	{"internal/worker/unused.go", `
func f() {}`, "unused", "unused"},
	{"internal/worker/usetesting_test.go", `
import ("context"; "testing")
func TestF(t *testing.T) { t.Log(context.Background()) }`, "usetesting", "t.Context"},
}
