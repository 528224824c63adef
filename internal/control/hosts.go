package control

import (
	"net"
	"net/url"
	"strings"
)

// Hosts are those that clients may have the service talk to: HOST for any port,
// HOST:PORT for one, *.DOMAIN for what is below a domain.
type Hosts []string

// Has says whether a URL's host is among them.
func (h Hosts) Has(u *url.URL) bool {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	for _, p := range h {
		name, only, err := net.SplitHostPort(p)
		if err != nil {
			name, only = strings.Trim(p, "[]"), ""
		}
		name = strings.ToLower(name)
		if only != "" && only != port {
			continue
		}
		if below, ok := strings.CutPrefix(name, "*"); ok && strings.HasPrefix(below, ".") && strings.HasSuffix(host, below) || name == host {
			return true
		}
	}
	return false
}
