package oms

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The command line prints where events go, with a curl that works as it stands.
func TestPrintedURLAndCurlWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: there is no curl here")
	}
	s := newService(t)
	s.put("photos/a.jpg", "jpg")
	c := s.sdk()
	id := s.newTask(c, "photos-copy")
	if got, want := s.lockstep("task", "url", id), s.url+"/v2/default/sync-tasks/"+id+"/events"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	cmd := exec.CommandContext(t.Context(), binary, "task", "show", id)
	cmd.Env = s.env()
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatal(err, said.String())
	}
	_, script, ok := strings.Cut(said.String(), "curl ")
	if !ok || !strings.Contains(said.String(), "synchronization API URL: "+s.url) {
		t.Fatal(said.String())
	}
	sh := exec.CommandContext(t.Context(), "sh", "-c", "curl --fail -sS "+script)
	sh.Env = append(s.env(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	s.settled(c, id, 1)
	if got, _, ok := s.get(s.dst, "photos-copy", "photos/a.jpg"); !ok || got != "jpg" {
		t.Fatalf("%q", got)
	}
}
