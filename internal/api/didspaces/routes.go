package didspaces

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/did"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// discoveryPath is where the client asks before each command, at the root of the server
// whatever its endpoint is.
const discoveryPath = "/__blocklet__.js"

// discovery says that the server has the DID Spaces component, whose DID is a constant.
const discovery = `{"componentMountPoints":[{"did":"z8iZnaYxnkMD5AKRjTKiCb8pQr1ut8UantAcf","mountPoint":"/"}]}`

// discover answers the client's first question.
func (a *API) discover(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		a.refuse(w, r, &task.Error{Kind: task.Invalid, Code: codeMethod, Text: "this path takes GET", Next: "use the official client"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(discovery))
}

// Match says whether a raw path is the dialect's. Endpoints may be mounted anywhere but
// below the paths of other dialects.
func Match(path string) bool {
	for _, other := range []string{"/api/v1/", "/_", "/hooks/", "/v2/", "/v3/"} {
		if strings.HasPrefix(path, other) && path != discoveryPath {
			return false
		}
	}
	_, ok := parsePath(path)
	return ok || path == discoveryPath || strings.Contains(path, "/api/space/") || strings.HasPrefix(path, "/api/audit-log")
}

// place is what a path names.
type place struct {
	space, app string // addresses; empty: the path is the short form, and names none
	list       bool
}

// maxMount is how many segments may come before /api.
const maxMount = 8

// parsePath reads [/mount]/api[/space/S/app/A][/object]/audit-log[/list].
func parsePath(path string) (p place, ok bool) {
	path, ok = strings.CutPrefix(path, "/")
	if !ok {
		return p, false
	}
	rest := strings.Split(path, "/")
	cut := func(word string) bool {
		if len(rest) == 0 || rest[len(rest)-1] != word {
			return false
		}
		rest = rest[:len(rest)-1]
		return true
	}
	p.list = cut("list")
	if !cut("audit-log") {
		return p, false
	}
	cut("object")
	if n := len(rest); n >= 5 && rest[n-4] == "space" && rest[n-2] == "app" {
		space, err := parseSegment(rest[n-3])
		app, appErr := parseSegment(rest[n-1])
		if err != nil || appErr != nil {
			return p, false
		}
		p.space, p.app = space.String(), app.String()
		rest = rest[:n-4]
	}
	return p, cut("api") && len(rest) <= maxMount
}

// parseSegment reads the address in a segment of a path, where the colons of did:abt: may
// be escaped.
func parseSegment(s string) (did.Address, error) {
	text, err := url.PathUnescape(s)
	if err != nil {
		return did.Address{}, err
	}
	return did.Parse(text)
}

// methods are those that a path takes.
func (p place) methods() []string {
	if p.list {
		return []string{http.MethodGet}
	}
	return []string{http.MethodPost, http.MethodPut}
}

// about returns the app whose log a signer asks for: that of the path, which must have
// signed, or have delegated who did. Where the path names none it is the signer, or else
// who delegated it.
func (p place) about(who signer) ([]string, error) {
	switch p.app {
	case "":
		if who.of != who.did {
			return []string{who.did, who.of}, nil
		}
		return []string{who.did}, nil
	case who.did, who.of:
		return []string{p.app}, nil
	}
	return nil, &task.Error{
		Kind: task.Denied, Code: "NOT_THE_APP", Text: "the request is signed by " + who.did + ", which is not the app " + p.app,
		Next: "sign with the app's own wallet, or with one that the app has delegated",
	}
}
