package elastic

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDocs runs the console blocks of the page for people, in order.
func TestDocs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and starts the service")
	}
	page, err := os.ReadFile("../../../docs/clients/elastic.md")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	s.task()
	s.shell(string(page))
	job, blocks := "", 0
	for _, block := range strings.Split(string(page), "```console")[1:] {
		block, _, _ = strings.Cut(block, "```")
		want, text, _ := strings.Cut(block, "\n")
		call, body, _ := strings.Cut(text, "\n")
		method, path, _ := strings.Cut(strings.ReplaceAll(call, "my-connector-sync-job-id", job), " ")
		blocks++
		status, answer := s.raw(method, "/"+path, body)
		if want = strings.TrimSpace(want); want == "" && status/100 != 2 || want == "400" && status != 400 {
			t.Errorf("%s: %d %s", call, status, answer)
		}
		var made struct{ ID string }
		if err := json.Unmarshal(answer, &made); err != nil {
			t.Errorf("%s: %v in %s", call, err, answer)
		}
		if method == http.MethodPost {
			job = made.ID
		}
	}
	if blocks < 30 {
		t.Errorf("%d blocks were found", blocks)
	}
}

// shell runs the first block of the page, as it is printed but for the address.
func (s *service) shell(page string) {
	s.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		s.Log("there is no curl: the page's first block is not run")
		return
	}
	_, block, _ := strings.Cut(page, "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	cmd := exec.CommandContext(s.Context(), "sh", "-c", strings.ReplaceAll(block, "http://127.0.0.1:8321", s.url))
	cmd.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+accessKey, "LOCKSTEP_SECRET_KEY="+secretKey)
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), `"result":"created"`) {
		s.Errorf("%s answers %s, %v", block, out, err)
	}
}

// raw sends a body as it is.
func (s *service) raw(method, path, body string) (status int, answer []byte) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(accessKey, secretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, answer
}
