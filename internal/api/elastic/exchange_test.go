package elastic_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/lockstep-sync/lockstep/internal/api/elastic"
)

var update = flag.Bool("update", false, "record what is answered in testdata")

// A recorded file is a list of requests, each "WHO METHOD PATH" with headers ("@Name:
// value") and a body, and what each was answered: "= STATUS" with the body. Times of the
// run are $now, ids that were made in it $id1, $job1 and so on.

var (
	madeID  = regexp.MustCompile(`"([A-Za-z0-9_-]{20})"`)
	madeJob = regexp.MustCompile(`"([0-9a-v]{26})"`)
	runTime = regexp.MustCompile(`2001-02-03T04:\d\d:\d\d\.\d{3,9}Z`)
)

// names gives stable names to what differs from run to run.
type names struct{ of, to map[string]string }

func (n *names) add(kind, value string) {
	if _, known := n.of[value]; known {
		return
	}
	i := 1
	for n.to[fmt.Sprint("$", kind, i)] != "" {
		i++
	}
	name := fmt.Sprint("$", kind, i)
	n.of[value], n.to[name] = name, value
}

func (n *names) hide(text string) string {
	for _, m := range madeJob.FindAllStringSubmatch(text, -1) {
		n.add("job", m[1])
	}
	for _, m := range madeID.FindAllStringSubmatch(text, -1) {
		if strings.ContainsAny(m[1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") && strings.ContainsAny(m[1], "abcdefghijklmnopqrstuvwxyz") {
			n.add("id", m[1])
		}
	}
	for value, name := range n.of {
		text = strings.ReplaceAll(text, value, name)
	}
	return runTime.ReplaceAllString(text, "$$now")
}

func (n *names) fill(text string) string {
	for name, value := range n.to {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// TestExchanges plays the recorded exchanges, each file in a world of its own.
func TestExchanges(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no recorded exchanges", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			play(t, file)
		})
	}
}

func play(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	recorded := txtar.Parse(raw)
	w := newWorld(t)
	n := &names{map[string]string{}, map[string]string{}}
	n.add("task", string(w.addTask("books").ID))
	for name, u := range w.users {
		n.of[u.id], n.to["$key-"+name] = "$key-"+name, u.id
	}
	out := &txtar.Archive{Comment: recorded.Comment}
	for i, f := range recorded.Files {
		if strings.HasPrefix(f.Name, "=") {
			continue
		}
		got := exchange(w, n, f)
		out.Files = append(out.Files, f, got)
		if *update {
			continue
		}
		if i+1 >= len(recorded.Files) {
			t.Fatalf("%s: no answer is recorded", f.Name)
		}
		if want := recorded.Files[i+1]; want.Name != got.Name || !bytes.Equal(want.Data, got.Data) {
			t.Errorf("%s\n%s\n%s\n%s\nwant\n%s\n%s", f.Name, f.Data, got.Name, got.Data, want.Name, want.Data)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func exchange(w *world, n *names, f txtar.File) txtar.File {
	w.Helper()
	parts := strings.SplitN(n.fill(f.Name), " ", 3)
	if len(parts) != 3 {
		w.Fatalf("%q is not WHO METHOD PATH", f.Name)
	}
	var header []string
	body := n.fill(string(f.Data))
	for strings.HasPrefix(body, "@") {
		line, rest, _ := strings.Cut(body[1:], "\n")
		name, value, _ := strings.Cut(line, ": ")
		header, body = append(header, name, value), rest
	}
	r := w.do(parts[0], parts[1], parts[2], strings.TrimSuffix(body, "\n"), header...)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, r.body, "", "  "); err != nil {
		w.Fatalf("%s: no JSON: %s", f.Name, r.body)
	}
	text := ""
	for _, name := range []string{"Www-Authenticate", "Allow", "Retry-After"} {
		for _, v := range r.header[name] {
			text += "@" + name + ": " + v + "\n"
		}
	}
	if ct := r.header.Get("Content-Type"); ct != "application/json" {
		text += "@Content-Type: " + ct + "\n"
	}
	for _, u := range w.users {
		if strings.Contains(pretty.String(), u.secret) {
			w.Errorf("%s: the answer holds a secret", f.Name)
		}
	}
	return txtar.File{Name: fmt.Sprint("= ", r.status), Data: []byte(text + n.hide(pretty.String()) + "\n")}
}

// TestExchangesAreComplete wants every call to have a recorded success, an unknown id and
// another project's, a bad body, and refusals of nobody and of the wrong role.
func TestExchangesAreComplete(t *testing.T) {
	t.Parallel()
	have := map[string]map[string]bool{}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fs := txtar.Parse(raw).Files
		for i := 0; i+1 < len(fs); i += 2 {
			parts := strings.SplitN(fs[i].Name, " ", 3)
			call := callOf(parts[1], parts[2])
			if have[call] == nil {
				have[call] = map[string]bool{}
			}
			status := strings.TrimPrefix(fs[i+1].Name, "= ")
			have[call][status] = true
			if strings.HasPrefix(parts[0], "other-") {
				have[call]["other "+status] = true
			}
			if status == "400" && len(fs[i].Data) > 0 {
				for _, kind := range []string{"unknown field", "support values of type", "Required ["} {
					if bytes.Contains(fs[i+1].Data, []byte(kind)) {
						have[call][kind] = true
					}
				}
			}
		}
	}
	for _, call := range elastic.Routes() {
		h := have[call]
		if !h["200"] && !h["201"] {
			t.Errorf("%s has no recorded success", call)
		}
		wants := []string{"401", "403"}
		if strings.Contains(call, "*") && call != "PUT /_connector/*" {
			wants = append(wants, "404", "other 404")
		}
		for _, want := range wants {
			if !h[want] {
				t.Errorf("%s has no recorded %s", call, want)
			}
		}
		if takesBody(call) && (!h["unknown field"] || !h["support values of type"]) {
			t.Errorf("%s has no recorded unknown field or wrong type: %v", call, h)
		}
		if takesBody(call) && !allOptional[call] && !h["Required ["] {
			t.Errorf("%s has no recorded absence of a field", call)
		}
	}
}

// allOptional are the calls whose fields may all be absent, or refuse their absence in words
// of their own.
var allOptional = map[string]bool{
	"PUT /_connector": true, "POST /_connector": true, "PUT /_connector/*": true, "PUT /_connector/*/_last_sync": true,
	"PUT /_connector/*/_name": true, "PUT /_connector/*/_api_key_id": true,
}

// callOf is a request as Routes has it.
func callOf(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	for i := 2; i < len(parts); i++ {
		if !strings.HasPrefix(parts[i], "_") {
			parts[i] = "*"
		}
	}
	return method + " " + strings.Join(parts, "/")
}

// takesBody says whether a call reads its body.
func takesBody(call string) bool {
	for _, none := range []string{"GET ", "DELETE ", "_check_in", "_activate", "_cancel"} {
		if strings.Contains(call, none) {
			return false
		}
	}
	return true
}
