package control_test

import (
	"net/url"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/control"
)

func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	h := control.Hosts{"minio.lan", "10.0.0.5:9000", "*.example.com", "[::1]:9000"}
	for address, want := range map[string]bool{
		"http://minio.lan": true, "http://MINIO.lan:9000": true, "http://10.0.0.5:9000": true, "http://10.0.0.5": false,
		"https://a.example.com": true, "https://example.com": false, "https://aexample.com": false, "http://[::1]:9000": true,
		"http://169.254.169.254": false, "http://minio.lan.evil.com": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if h.Has(u) != want {
			t.Errorf("%s: %v", address, !want)
		}
	}
	if (control.Hosts{}).Has(&url.URL{Scheme: "http", Host: "minio.lan"}) {
		t.Error("an empty list allows")
	}
}
