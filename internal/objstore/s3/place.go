package s3

import (
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
)

// place is where the requests of a bucket go and which region they are signed
// for. Another region makes another place.
type place struct {
	scheme string
	host   string // as in the Host header
	root   string // escaped path of the bucket: "/name", or "/" when the host names it
	base   string // escaped path in front of keys: "/name/", or "/"
	region string

	endpoint *url.URL
	bucket   string
	virtual  bool
	moment   atomic.Pointer[moment]
}

const defaultRegion = "us-east-1"

// newPlace says where a bucket is; a nil endpoint, and a regional one of AWS,
// follow the region.
func newPlace(endpoint *url.URL, bucket, region string, virtual bool) *place {
	if region == "" {
		region = defaultRegion
	}
	p := &place{scheme: "https", region: region, endpoint: endpoint, bucket: bucket, virtual: virtual}
	path := ""
	switch {
	case endpoint == nil:
		p.host, p.virtual = awsHost(region), virtual || !strings.Contains(bucket, ".")
	case isAWSHost(endpoint.Host):
		p.scheme, p.host = endpoint.Scheme, awsHost(region)
	default:
		p.scheme, p.host = endpoint.Scheme, bareHost(endpoint)
		path = strings.TrimRight(endpoint.EscapedPath(), "/")
	}
	if _, err := netip.ParseAddr(strings.Trim(hostname(p.host), "[]")); err == nil {
		p.virtual = false // an address has no subdomains
	}
	if p.virtual {
		p.host, p.root, p.base = bucket+"."+p.host, path+"/", path+"/"
	} else {
		p.root = path + "/" + bucket
		p.base = p.root + "/"
	}
	return p
}

// in returns the same bucket in another region.
func (p *place) in(region string) *place {
	return newPlace(p.endpoint, p.bucket, region, p.virtual)
}

// awsHost is the endpoint of a region. China's is a partition of its own.
func awsHost(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "s3." + region + ".amazonaws.com.cn"
	}
	return "s3." + region + ".amazonaws.com"
}

// isAWSHost reports whether host is a plain regional endpoint of AWS, which
// follows the region; others (FIPS, VPC, dual stack) are taken as written.
func isAWSHost(host string) bool {
	return host == "s3.amazonaws.com" || regionOf(host) != "" && host == awsHost(regionOf(host))
}

// regionOf reads the region from the host names of stores that have it there.
func regionOf(host string) string {
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".myhuaweicloud.com", ".myhuaweicloud.eu"} {
		name, ok := strings.CutSuffix(host, suffix)
		if !ok {
			continue
		}
		if service, region, ok := strings.Cut(name, "."); ok && (service == "s3" || service == "obs") && !strings.Contains(region, ".") {
			return region
		}
	}
	return ""
}

// bareHost is the host without a port that the scheme implies, as it is signed.
func bareHost(u *url.URL) string {
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		return strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return u.Host
}

// hostname is host without its port.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}
