package elastic

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
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
