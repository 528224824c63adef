package didspaces_test

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

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the answers into testdata/exchanges")

// TestExchanges plays the exchanges in testdata/exchanges. A file is a conversation:
// requests and the answers to them, each with the wallet that signs. The first line of a
// request is METHOD WALLET TARGET; headers and the body follow. What differs from run to
// run has a name: $ID1 is the first entry that was made, $APP, $OTHER and so on are DIDs,
// $MANAGED is a job of project p that Lockstep does, $STRANGE an entry of project q.
func TestExchanges(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/exchanges/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlayer(w)
			for i := 0; i+1 < len(a.Files); i += 2 {
				got := p.play(string(a.Files[i].Data))
				if want := string(a.Files[i+1].Data); got != want && !*update {
					t.Errorf("%s\n%s", a.Files[i].Data, cmp.Diff(want, got))
				}
				a.Files[i+1].Data = []byte(got)
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// player plays one conversation.
type player struct {
	*world
	names map[string]string // what a name stands for
	made  int
}

func newPlayer(w *world) *player {
	p := &player{world: w, names: map[string]string{"$SPACE": w.space}}
	for name, one := range w.wallets {
		p.names["$"+strings.ToUpper(name)] = one.did
	}
	p.names["$STRANGE"] = w.post("stranger")
	p.names["$THEIRS"] = w.post("other")
	k, job := w.addTask("photos", "a", "b", "bad")
	w.work()
	p.names["$MANAGED"], p.names["$TASK"] = string(job), string(k.ID)
	return p
}

// play makes a request and returns the answer as it is recorded.
func (p *player) play(text string) string {
	p.Helper()
	head, body, _ := strings.Cut(p.fill(text), "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	var method, who, target string
	if n, err := fmt.Sscan(lines[0], &method, &who, &target); n != 3 {
		p.Fatalf("%q: %v", lines[0], err)
	}
	if who == "nobody" {
		who = ""
	}
	var header []string
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ": ")
		header = append(header, k, v)
	}
	a := p.do(who, method, target, strings.TrimSpace(body), header...)
	out := fmt.Sprintf("%d\nContent-Type: %s\n", a.status, a.header.Get("Content-Type"))
	if allow := a.header.Get("Allow"); allow != "" {
		out += "Allow: " + allow + "\n"
	}
	if bytes.HasSuffix(a.body, []byte("\n")) {
		p.Errorf("%s %s: the answer ends with a newline, which clients show", method, target)
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, a.body, "", "  ") == nil {
		a.body = pretty.Bytes()
	}
	return out + "\n" + p.name(string(a.body)) + "\n"
}

var (
	timePattern    = regexp.MustCompile(`"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	requestPattern = regexp.MustCompile(`request [0-9a-z]{20}\)`)
	idPattern      = regexp.MustCompile(`"id": "([0-9a-v]{26})"`)
)

// fill puts what names stand for into a request.
func (p *player) fill(text string) string {
	return regexp.MustCompile(`\$[A-Z]+[0-9]*`).ReplaceAllStringFunc(text, func(name string) string {
		v, ok := p.names[name]
		if !ok {
			p.Fatalf("nothing is called %s", name)
		}
		return v
	})
}

// name puts names into an answer.
func (p *player) name(text string) string {
	for _, m := range idPattern.FindAllStringSubmatch(text, -1) {
		known := false
		for _, v := range p.names {
			known = known || v == m[1]
		}
		if !known {
			p.made++
			p.names[fmt.Sprint("$ID", p.made)] = m[1]
		}
	}
	for name, v := range p.names {
		text = strings.ReplaceAll(text, v, name)
	}
	text = strings.ReplaceAll(text, "$USER", "$SPACE") // they are one
	text = timePattern.ReplaceAllString(text, `"$$TIME"`)
	return requestPattern.ReplaceAllString(text, "request $$REQUEST)")
}
