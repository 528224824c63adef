package oms

import (
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ksyun is the one kind of authentication that OMS names and that is refused: OMS does
// not say by which of Kingsoft Cloud's rules it signs.
const ksyun = "KSYUN_PRIVATE_AUTHENTICATION"

// check checks what a source_cdn says by itself, and fills in what it left out. nil passes.
func (s *sourceCDN) check() (err error) {
	if s == nil {
		return nil
	}
	if err := checkTexts(
		text{"source_cdn.domain", s.Domain, true, 255}, text{"source_cdn.protocol", s.Protocol, true, 5},
		text{"source_cdn.authentication_type", s.AuthenticationType, true, 64},
		text{"source_cdn.authentication_key", s.AuthenticationKey, false, 255}, text{"source_cdn.kms_key_id", s.KMSKeyID, false, 36},
	); err != nil {
		return err
	}
	if err := checkCrypto(text{name: "source_cdn.crypto_type", value: s.CryptoType}); err != nil {
		return err
	}
	if s.Protocol, err = choice("source_cdn.protocol", s.Protocol, "http", "https"); err != nil {
		return err
	}
	if s.AuthenticationType == ksyun {
		return invalid(control.CodeCDN, "use another kind of authentication, or NONE where the domain is public",
			"source_cdn.authentication_type: %s is not done here: OMS does not publish by which rule it signs", ksyun)
	}
	all := names(task.Authentications, func(i int) string { return string(task.Authentications[i]) })
	s.AuthenticationType, err = choice("source_cdn.authentication_type", s.AuthenticationType, all...)
	return err
}

// via is the CDN as control knows it; of nil, none.
func (s *sourceCDN) via() control.SourceCDN {
	if s == nil {
		return control.SourceCDN{}
	}
	return control.SourceCDN{
		CDN: task.CDN{Protocol: s.Protocol, Domain: s.Domain, Authentication: task.Authentication(s.AuthenticationType)},
		Key: secret.New(s.AuthenticationKey),
	}
}

// cdnOf is the CDN of a task as clients get it: without its key. nil: it has none.
func cdnOf(k task.Task) *sourceCDN {
	via := k.Options.SourceCDN
	if !via.Set() {
		return nil
	}
	if via.Authentication == "" {
		via.Authentication = task.NoAuthentication
	}
	return &sourceCDN{Domain: via.Domain, Protocol: via.Protocol, AuthenticationType: string(via.Authentication)}
}

// reachCDN asks whether the domain serves the source's objects, where there is one.
func (a *API) reachCDN(r *request, at task.Location, k control.Credentials, via control.SourceCDN) error {
	if !via.Set() {
		return nil
	}
	return a.control.ProbeCDN(r.ctx(), r.who, at, k, via)
}

// maxCheckedKeys is the most keys that one question about a domain names.
const maxCheckedKeys = 100

// cdnInfo says what a domain serves of a bucket.
func (a *API) cdnInfo(r *request) error {
	p, err := ask(r)
	if err != nil {
		return err
	}
	if !isAddress(p.DataCenter) { // which needs no endpoint of the cloud
		if _, err := a.inCloud(r, p.CloudType); err != nil {
			return err
		}
	}
	if err := checkTexts(bucketName(&p), center(&p)); err != nil {
		return err
	}
	if p.SourceCDN == nil {
		return invalid(codeMissing, "set it", "source_cdn is missing")
	}
	if err := p.SourceCDN.check(); err != nil {
		return err
	}
	if len(p.Prefix.Keys) > maxCheckedKeys {
		return invalid(codeConstraint, "ask more than once", "prefix.keys has more than %d keys", maxCheckedKeys)
	}
	for _, key := range p.Prefix.Keys {
		if err := checkTexts(text{"prefix.keys", key, false, task.MaxKeyBytes}); err != nil {
			return err
		}
	}
	at, err := a.bucketAt(r, &p)
	if err != nil {
		return err
	}
	found, err := a.control.LookAtCDN(r.ctx(), r.who, at, p.keys(), p.SourceCDN.via(), p.Prefix.Keys)
	if err != nil {
		return refused(err, codeObjects)
	}
	out := cdnInfo{SameCloud: found.Same, Downloadable: found.Readable, Keys: []checkedKey{}}
	for _, k := range found.Keys {
		out.Keys = append(out.Keys, checkedKey{Key: k.Key, ETagMatching: k.Equal, Existing: k.Exists})
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}
