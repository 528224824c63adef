package task

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// CDN is a domain that serves the objects of a source bucket: their bytes are read from
// PROTOCOL://DOMAIN/KEY, while listing and all else still go to the bucket. The zero
// value is none. It holds no secret: a key that requests are signed with is sealed with
// the task.
type CDN struct {
	Protocol string `json:"protocol" enum:"http,https"`
	Domain   string `json:"domain" doc:"HOST or HOST:PORT"`
	// Authentication is how requests prove that they may read; empty: NONE.
	Authentication Authentication `json:"authentication,omitempty" doc:"How requests are signed, as Huawei OMS names it; without it they are not. Kinds that need a key are given with the OMS API alone"`
}

// Authentication is a rule by which requests to a CDN are signed. The names are those of
// Huawei OMS; package objstore/cdn says where each rule is published.
type Authentication string

// The rules. NoAuthentication, too, may be written as nothing at all.
const (
	NoAuthentication Authentication = "NONE"
	QiniuPrivate     Authentication = "QINIU_PRIVATE_AUTHENTICATION"
	AliyunA          Authentication = "ALIYUN_OSS_A"
	AliyunB          Authentication = "ALIYUN_OSS_B"
	AliyunC          Authentication = "ALIYUN_OSS_C"
	TencentA         Authentication = "TENCENT_COS_A"
	TencentB         Authentication = "TENCENT_COS_B"
	TencentC         Authentication = "TENCENT_COS_C"
	TencentD         Authentication = "TENCENT_COS_D"
	AzureSAS         Authentication = "AZURE_SAS_TOKEN"
)

// Authentications are all rules that this version knows.
var Authentications = []Authentication{NoAuthentication, QiniuPrivate, AliyunA, AliyunB, AliyunC, TencentA, TencentB, TencentC, TencentD, AzureSAS}

// NeedsKey says whether requests are signed with a key of their own. Qiniu's are signed
// with the pair of the source bucket.
func (a Authentication) NeedsKey() bool {
	return a != "" && a != NoAuthentication && a != QiniuPrivate
}

// Set says whether there is a CDN.
func (c CDN) Set() bool { return c != CDN{} }

// URL is the address of the domain, without a path. nil: Protocol or Domain cannot be
// one.
func (c CDN) URL() *url.URL {
	if c.Protocol != "http" && c.Protocol != "https" || !validDomain(c.Domain) {
		return nil
	}
	return &url.URL{Scheme: c.Protocol, Host: strings.ToLower(c.Domain)}
}

const maxDomain = 255

// validDomain says whether s is HOST or HOST:PORT and nothing else.
func validDomain(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || len(s) > maxDomain || u.Host != s || u.Hostname() == "" || strings.HasSuffix(s, ":") {
		return false
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	host := u.Hostname()
	if strings.HasPrefix(s, "[") {
		a, err := netip.ParseAddr(host)
		return err == nil && a.Zone() == ""
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}
