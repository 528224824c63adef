package s3

import (
	"net/url"
	"testing"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint, bucket, region string
		virtual                  bool
		host, root, base         string
	}{
		{"", "b", "", false, "b.s3.us-east-1.amazonaws.com", "/", "/"},
		{"", "dotted.b", "eu-west-1", false, "s3.eu-west-1.amazonaws.com", "/dotted.b", "/dotted.b/"},
		{"", "b", "cn-north-1", false, "b.s3.cn-north-1.amazonaws.com.cn", "/", "/"},
		{"https://s3.eu-west-1.amazonaws.com", "b", "eu-west-1", false, "s3.eu-west-1.amazonaws.com", "/b", "/b/"},
		{"https://s3.eu-west-1.amazonaws.com", "b", "eu-north-1", true, "b.s3.eu-north-1.amazonaws.com", "/", "/"},
		{"https://vpce-1.s3.eu-west-1.vpce.amazonaws.com", "b", "eu-west-1", false, "vpce-1.s3.eu-west-1.vpce.amazonaws.com", "/b", "/b/"},
		{"http://host:9000", "b", "", false, "host:9000", "/b", "/b/"},
		{"http://host:80/", "b", "", true, "b.host", "/", "/"},
		{"https://host:443", "b", "", false, "host", "/b", "/b/"},
		{"https://host/deep/path/", "b", "", false, "host", "/deep/path/b", "/deep/path/b/"},
		{"http://127.0.0.1:9000", "b", "", true, "127.0.0.1:9000", "/b", "/b/"},
		{"http://[::1]:9000", "b", "", true, "[::1]:9000", "/b", "/b/"},
	} {
		var u *url.URL
		if c.endpoint != "" {
			var err error
			if u, err = url.Parse(c.endpoint); err != nil {
				t.Fatal(err)
			}
		}
		p := newPlace(u, c.bucket, c.region, c.virtual)
		if p.host != c.host || p.root != c.root || p.base != c.base {
			t.Errorf("%+v: %s %s %s", c, p.host, p.root, p.base)
		}
	}
	if p := newPlace(nil, "b", "", false).in("eu-west-3"); p.host != "b.s3.eu-west-3.amazonaws.com" || p.region != "eu-west-3" {
		t.Errorf("in another region: %s", p.host)
	}
}

func TestGuess(t *testing.T) {
	t.Parallel()
	for host, want := range map[string][2]string{
		"": {"aws", ""}, "s3.eu-west-1.amazonaws.com": {"aws", "eu-west-1"}, "s3.amazonaws.com": {"aws", ""},
		"obs.eu-west-101.myhuaweicloud.eu": {"obs", "eu-west-101"}, "obs.cn-north-4.myhuaweicloud.com": {"obs", "cn-north-4"},
		"minio.example": {"generic", ""}, "amazonaws.com.evil.example": {"generic", ""},
	} {
		if got := [2]string{guess(host), regionOf(host)}; got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}

// Every row must be complete, or a limit of zero would read as "none known".
func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	for name := range table {
		c, err := traitsOf(name, "", nil)
		if err != nil || c.Provider != name || c.MaxKey == 0 || c.MaxPut == 0 || c.MinPart == 0 || c.MaxPart < c.MinPart || c.MaxParts == 0 || c.MaxCopy == 0 || c.DeleteMany > 1000 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if c.ChecksumComplete && !c.checksumPart || c.tagsOnPut && !c.Tags || c.listV1 && c.NonUTF8Keys && !c.urlEncoding {
			t.Errorf("%s contradicts itself: %+v", name, c)
		}
	}
}
