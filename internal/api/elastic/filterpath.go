package elastic

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
)

// filterPaths keeps of an answer what filter_path names: dots go deeper, * is any part of
// a name, ** any depth, and a path that begins with - is left out instead.
func filterPaths(raw []byte, paths []string) ([]byte, error) {
	v, err := decodeNumbers(raw)
	if err != nil {
		return nil, err
	}
	keep, drop := splitPaths(paths)
	v, kept := selected(v, keep, drop)
	if !kept {
		return []byte("{}"), nil
	}
	return encode(v)
}

// decodeNumbers reads JSON with its numbers as they are written.
func decodeNumbers(raw []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

// splitPaths returns the parts of paths by what they ask for. Without any to keep all is
// kept.
func splitPaths(paths []string) (keep, drop [][]string) {
	for _, p := range paths {
		if out, minus := strings.CutPrefix(p, "-"); minus {
			drop = append(drop, strings.Split(out, "."))
		} else {
			keep = append(keep, strings.Split(p, "."))
		}
	}
	if len(keep) == 0 {
		keep = [][]string{{"**"}}
	}
	return keep, drop
}

// selected returns the part of v that the paths keep; kept is false when there is none.
func selected(v any, keep, drop [][]string) (out any, kept bool) {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for name, x := range v {
			k, whole := step(keep, name)
			d, gone := step(drop, name)
			if gone || !whole && len(k) == 0 {
				continue
			}
			if whole {
				k = [][]string{{"**"}}
			}
			if part, some := selected(x, k, d); some {
				m[name] = part
			}
		}
		return m, len(m) > 0 || len(v) == 0 && anyDepth(keep)
	case []any:
		s := []any{}
		for _, x := range v {
			if part, some := selected(x, keep, drop); some {
				s = append(s, part)
			}
		}
		return s, len(s) > 0 || len(v) == 0 && anyDepth(keep)
	}
	return v, anyDepth(keep)
}

// step goes into a field: it returns what the paths say of what is within, and whether
// one of them ends here.
func step(paths [][]string, name string) (within [][]string, ends bool) {
	for _, p := range paths {
		switch {
		case p[0] == "**":
			within = append(within, p)
			if len(p) == 1 {
				ends = true
				continue
			}
			w, e := step([][]string{p[1:]}, name)
			within, ends = append(within, w...), ends || e
		case matches(p[0], name):
			if len(p) == 1 {
				ends = true
			} else {
				within = append(within, p[1:])
			}
		}
	}
	return within, ends
}

func matches(pattern, name string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	quoted := strings.NewReplacer(`\`, `\\`, "?", `\?`, "[", `\[`).Replace(pattern)
	ok, err := path.Match(quoted, strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

// anyDepth says whether a path keeps all there is from here on.
func anyDepth(paths [][]string) bool {
	for _, p := range paths {
		if len(p) == 1 && p[0] == "**" {
			return true
		}
	}
	return false
}
