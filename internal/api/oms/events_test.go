package oms

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestEventKeysAreFormEncoded(t *testing.T) {
	t.Parallel()
	form, path := New(Config{}), New(Config{Keys: PathKeys})
	for _, c := range []struct{ sent, form, otherwise, path string }{
		{"test%2F001.txt", "test/001.txt", "", "test/001.txt"},
		{"test%2B001.txt", "test+001.txt", "", "test+001.txt"},
		{"test+001.txt", "test 001.txt", "test+001.txt", "test+001.txt"},
		{"test/001.txt", "test/001.txt", "", "test/001.txt"},
		{"a%2520b", "a%20b", "", "a%20b"},
		{"a%20b+c", "a b c", "a b+c", "a b+c"},
		{"../x//./y/", "../x//./y/", "", "../x//./y/"}, // opaque: nothing is cleaned
		{"/lead", "/lead", "", "/lead"},
		{"%E4%B8%AD", "中", "", "中"},
		{"%00", "\x00", "", "\x00"},
	} {
		e, err := form.event(c.sent)
		if err != nil || e.Key != c.form || e.Otherwise != c.otherwise {
			t.Errorf("%q: %+v, %v", c.sent, e, err)
		}
		e, err = path.event(c.sent)
		if err != nil || e.Key != c.path || e.Otherwise != "" {
			t.Errorf("path %q: %+v, %v", c.sent, e, err)
		}
	}
	for _, bad := range []string{"", "%zz", "%", "a%2", "%ff", "%C3%28", strings.Repeat("k", 1025), strings.Repeat("%6B", 1025), strings.Repeat("a", 16385)} {
		for _, a := range []*API{form, path} {
			if e, err := a.event(bad); err == nil {
				t.Errorf("%.20q is taken as %+v", bad, e)
			}
		}
	}
	for _, good := range []string{strings.Repeat("k", 1024), strings.Repeat("%6B", 1024)} {
		if _, err := form.event(good); err != nil {
			t.Errorf("%.20q: %v", good, err)
		}
	}
}

// Whatever is taken names the object whose form encoding it is.
func FuzzEventKey(f *testing.F) {
	for _, s := range []string{"test%2F001.txt", "test+001.txt", "%zz", "%E4%B8%AD", "a%2520b", "\xff", "+"} {
		f.Add(s)
	}
	a := New(Config{})
	f.Fuzz(func(t *testing.T, sent string) {
		e, err := a.event(sent)
		if err != nil {
			return
		}
		if e.Key == "" || len(e.Key) > maxKey || !utf8.ValidString(e.Key) {
			t.Fatalf("%q: key %q", sent, e.Key)
		}
		again, err := a.event(url.QueryEscape(e.Key))
		if err != nil || again.Key != e.Key {
			t.Fatalf("%q: %q, again %q, %v", sent, e.Key, again.Key, err)
		}
		if e.Otherwise != "" && (strings.ReplaceAll(e.Otherwise, "+", " ") == e.Otherwise || len(e.Otherwise) != len(e.Key)) {
			t.Fatalf("%q: %q otherwise %q", sent, e.Key, e.Otherwise)
		}
	})
}

// No body makes a decoder panic, or an error without a kind.
func FuzzBodies(f *testing.F) {
	for _, s := range []string{`{"object_keys":["a"]}`, `{"object_keys":null}`, `{"src_region":1}`, `{"page_size":1.0}`, "null", "[]", "", `{"a":"\ud800"}`, "\xff", `{"source_cdn":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, v := range []any{&newTask{}, &startTask{}, &events{}, &place{}} {
			err := decode(body, v)
			if err == nil {
				if n, ok := v.(*newTask); ok {
					err = n.check()
				}
			}
			if err != nil && task.KindOf(err) != task.Invalid {
				t.Fatalf("%q: %v", body, err)
			}
		}
	})
}

func TestRawPaths(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"/v2/p/sync-tasks//events", "/v2//sync-tasks", "//v2/p/sync-tasks", "/v2/p/sync-tasks/./events", "/v2/p/sync-tasks/../events",
		"/v2/p/sync-tasks/", "/v2/p/sync-tasks/a%2Fb/events", "/v2/p%20/sync-tasks", "/v2/p/sync-tasks/x/start/now", "/v2/p/unknown", "/v1/p/sync-tasks",
		"/v2/p/tasks", "/v2/p/tasks/batch-update", "/v2/p/taskgroups/1/start", "/v2/p/objectstorage/buckets/url-source-list-file",
	} {
		_, _, err := route("POST", p)
		if e, ok := asTaskError(err); !ok || codes[e.Code] != (row{404, "APIGW.0101"}) {
			t.Errorf("%s: %v", p, err)
		}
	}
	for _, p := range []string{"/v2/{project_id}/sync-tasks", "/v2/%7Bproject_id%7D/sync-tasks", "/v2/%7bproject_id%7d/sync-tasks"} {
		_, _, err := route("GET", p)
		if e, ok := asTaskError(err); !ok || e.Code != codeNoProject {
			t.Errorf("%s: %v", p, err)
		}
	}
	for p, want := range map[string]path{
		"/v2/p/sync-tasks": {project: "p"}, "/v2/p_1/sync-tasks/a-b": {"p_1", "a-b"}, "/v3/projects": {}, "/v2": {id: "v2"}, "/": {},
	} {
		if _, got, err := route("GET", p); err != nil || got != want {
			t.Errorf("%s: %+v, %v", p, got, err)
		}
	}
	if _, _, err := route("PUT", "/v2/p/sync-tasks/x/start"); !errors.Is(err, errMethod) {
		t.Errorf("PUT start: %v", err)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("POST", "/v2/p/sync-tasks//events")
	f.Add("GET", "/")
	f.Add("GET", "/%")
	f.Fuzz(func(t *testing.T, method, raw string) {
		_, p, err := route(method, raw)
		if err != nil {
			if _, ok := asTaskError(err); !ok {
				t.Fatal(err)
			}
			return
		}
		if p.project != "" && !validID(p.project) || strings.ContainsAny(p.id, "/%") {
			t.Fatalf("%q: %+v", raw, p)
		}
	})
}
