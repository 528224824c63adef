package didspaces

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/test/clients/npm"
)

var blockPattern = regexp.MustCompile("(?s)```js\n(.*?)```")

// TestDocs runs the examples of docs/clients/didspaces.md, one after the other.
func TestDocs(t *testing.T) {
	t.Parallel()
	at := npm.Install(t, npm.Node, "1.1.6")
	text, err := os.ReadFile("../../../docs/clients/didspaces.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := blockPattern.FindAllStringSubmatch(string(text), -1)
	want := []string{"succeeded 100\n", "1 succeeded\n"}
	if len(blocks) != len(want) {
		t.Fatalf("%d examples, want %d", len(blocks), len(want))
	}
	var printed, installed struct{ Dependencies, Overrides map[string]string }
	pinned, err := os.ReadFile("1.1.6/package.json")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, _ = strings.Cut(block, "```")
	if err := errors.Join(json.Unmarshal([]byte(block), &printed), json.Unmarshal(pinned, &installed)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(installed, printed); d != "" {
		t.Errorf("package.json is not what the tests install (-installed +printed):\n%s", d)
	}
	s := serve(t)
	app := wallets(t)["ed25519-sha3-application-1"]
	s.cli("app", "add", app.address)
	for i, b := range blocks {
		script := filepath.Join(t.TempDir(), "example.cjs")
		if err := os.WriteFile(script, []byte(b[1]), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "node", script)
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(at, "node_modules"), "APP_SK="+app.SecretKey,
			"ENDPOINT="+s.url+"/api/space/z1TizjMJ8kxbjyVsTfS7NBb1NJijpbG8vwK/app/"+app.address+"/object/")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		if out, err := cmd.Output(); err != nil || string(out) != want[i] {
			t.Errorf("example %d prints %q, %v\n%s", i+1, out, err, stderr.String())
		}
	}
}
