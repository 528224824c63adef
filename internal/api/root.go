package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Info is what GET / tells programs: one object that is both the list of versions that
// clients of Huawei's OMS ask for, and what clients of Elasticsearch take for its
// greeting. They read the members they know; versions and version do not meet.
type Info struct {
	Name        string         `json:"name"`
	ClusterName string         `json:"cluster_name"`
	ClusterUUID string         `json:"cluster_uuid"`
	Version     ElasticVersion `json:"version"`
	Tagline     string         `json:"tagline"`
	Versions    []APIVersion   `json:"versions"`
	// Lockstep is the program's own version, API where the API of its own begins.
	Lockstep string `json:"lockstep"`
	API      string `json:"api"`
}

// ElasticVersion says which Elasticsearch a client may take this for.
type ElasticVersion struct {
	Number                    string `json:"number"`
	BuildFlavor               string `json:"build_flavor"`
	BuildType                 string `json:"build_type"`
	BuildHash                 string `json:"build_hash"`
	BuildDate                 string `json:"build_date"`
	BuildSnapshot             bool   `json:"build_snapshot"`
	LuceneVersion             string `json:"lucene_version"`
	MinimumWireCompatibility  string `json:"minimum_wire_compatibility_version"`
	MinimumIndexCompatibility string `json:"minimum_index_compatibility_version"`
}

// APIVersion is a version of the OMS API.
type APIVersion struct {
	ID      string    `json:"id"`
	Links   []APILink `json:"links"`
	Status  string    `json:"status"`
	Updated string    `json:"updated"` // 2006-01-02T15:04:05Z
}

// APILink is where it is.
type APILink struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

// OMSVersion is the one version of the OMS API that there is. host is what the client
// calls this server.
func OMSVersion(scheme, host string) APIVersion {
	return APIVersion{
		ID: "v2", Links: []APILink{{Href: scheme + "://" + host + "/v2", Rel: "self"}},
		Status: "CURRENT", Updated: "2020-08-19T00:00:00Z",
	}
}

// Scheme is the one a client used, as far as this process can see.
func Scheme(r *http.Request) string {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return "https"
	}
	return "http"
}

// Root answers GET /: a page for browsers, else Info. It asks for no credentials.
type Root struct {
	Version string // of Lockstep
	// Page answers browsers; nil: a page that names the APIs.
	Page http.Handler
}

// IsRoot is the Match of its Route.
func IsRoot(rawPath string) bool { return rawPath == "/" || rawPath == "" }

// ServeHTTP implements http.Handler.
func (o Root) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "only GET\n")
		return
	}
	// Browsers ask for text/html by name; programs for JSON, or for anything.
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		if o.Page != nil {
			o.Page.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		_, _ = io.WriteString(w, rootPage)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Elastic-Product", "Elasticsearch") // its clients refuse to go on without
	_ = json.NewEncoder(w).Encode(Info{                  // the client went away
		Name: "lockstep", ClusterName: "lockstep", ClusterUUID: "lockstep", Tagline: "You Know, for Search",
		Version: ElasticVersion{
			Number: "9.5.0", BuildFlavor: "default", BuildType: "tar", BuildHash: "lockstep", BuildDate: "2026-01-01T00:00:00.000Z",
			LuceneVersion: "10.4.0", MinimumWireCompatibility: "8.19.0", MinimumIndexCompatibility: "8.0.0",
		},
		Versions: []APIVersion{OMSVersion(Scheme(r), r.Host)}, Lockstep: o.Version, API: "/api/v1",
	})
}

const rootPage = `<!doctype html>
<meta charset="utf-8"><title>Lockstep</title>
<h1>Lockstep</h1>
<p>This service keeps object stores in step. Its APIs: <a href="/api/v1/openapi.json">/api/v1</a>, /v2 (Huawei OMS), /_connector (Elasticsearch Connector API).</p>
`
