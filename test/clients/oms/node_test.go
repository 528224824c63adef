package oms

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/test/clients/npm"
)

func TestNodeSDKSignsWhatTheServiceTakes(t *testing.T) {
	t.Parallel()
	installed := npm.Install(t, npm.Node, "node")
	s := newService(t)
	s.put("node/a b", "1")
	s.put("中.txt", "2")
	keys, err := json.Marshal(map[string]string{"src_ak": s.src.AccessKey, "src_sk": s.src.SecretKey, "dst_ak": s.dst.AccessKey, "dst_sk": s.dst.SecretKey})
	s.must(err)
	cmd := exec.CommandContext(t.Context(), "node", "events.js")
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "OMS_AK="+accessKey, "OMS_SK="+secretKey, "OMS_PROJECT="+project, "OMS_ENDPOINT="+s.url, "OMS_KEYS="+string(keys), "NODE_PATH="+filepath.Join(installed, "node_modules"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderrOf(err))
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var said struct {
		ID    string
		Shown struct {
			Success int `json:"monthly_success_object"`
		}
		Types, Count int
		Refused      struct {
			Status        int
			Code, Request string
		}
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &said); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if said.Shown.Success != 2 || said.Types != 2 || said.Count != 1 || said.Refused.Status != 404 || said.Refused.Code != "OMS.1009" || said.Refused.Request == "" {
		t.Fatalf("%+v", said)
	}
	for k, want := range map[string]string{"node/a b": "1", "中.txt": "2"} {
		if got, _, ok := s.get(s.dst, "more", k); !ok || got != want {
			t.Errorf("%s: %q", k, got)
		}
	}
}
