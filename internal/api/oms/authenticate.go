package oms

import (
	"context"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// unauthenticated is the answer to a request that nobody is known to have made.
func unauthenticated(why string) error {
	return &task.Error{Kind: task.Denied, Code: control.CodeBadCredentials, Text: "Incorrect IAM authentication information: " + why}
}

var errTooMany = &task.Error{
	Kind: task.Unavailable, Code: control.CodeRateLimited, Text: "too many requests from this address", Next: "try again in a second",
}

// authenticate says who made a request: by its signature, else by its token.
func (a *API) authenticate(ctx context.Context, r *request) (control.Caller, error) {
	who, err := a.identify(ctx, r)
	address := api.RemoteAddress(r.http)
	if e, ok := asTaskError(err); ok && e.Code == control.CodeBadCredentials && !a.failing.allow(address, a.now()) {
		return who, errTooMany
	}
	who.Actor.Dialect, who.Actor.Address, who.Actor.Request = task.OMS, address, api.RequestID(ctx)
	return who, err
}

func (a *API) identify(ctx context.Context, r *request) (control.Caller, error) {
	header := r.http.Header.Get("Authorization")
	if header != "" {
		return a.bySignature(ctx, r, header)
	}
	token := r.http.Header.Get("X-Auth-Token")
	if token == "" {
		return control.Caller{}, unauthenticated("x-auth-token not found, and the request is not signed")
	}
	who, err := a.control.AuthenticateToken(ctx, token)
	if e, ok := asTaskError(err); ok && e.Kind == task.Denied {
		why := "decrypt token fail"
		if e.Code == control.CodeTokenExpired {
			why = "token expires"
		}
		return who, unauthenticated(why)
	}
	return who, err
}

func (a *API) bySignature(ctx context.Context, r *request, header string) (control.Caller, error) {
	auth, ok := parseAuthorization(header)
	if !ok || len(r.http.Header["Authorization"]) != 1 {
		return control.Caller{}, unauthenticated("the Authorization header is not " + algorithm + " Access=…, SignedHeaders=…, Signature=…")
	}
	text, why := toSign(signedRequest{
		method: r.http.Method, path: r.http.URL.Path, query: r.http.URL.RawQuery, host: r.http.Host, headers: r.http.Header, body: r.body,
		anyBody: a.cfg.UnsignedPayload,
	}, auth.signed, a.now())
	if why != "" {
		return control.Caller{}, unauthenticated(why)
	}
	who, err := a.control.AuthenticateSigned(ctx, task.KeyID(auth.access), func(s secret.String) bool {
		return verifies(text, auth.signature, s)
	})
	if e, ok := asTaskError(err); ok && e.Code == control.CodeBadCredentials {
		// The same words for a wrong secret, an unknown and an expired key.
		return who, unauthenticated("verify aksk signature fail")
	}
	return who, err
}

// authorise keeps a caller to its project. The path is what the signature covers;
// X-Project-Id must agree and proves nothing.
func (a *API) authorise(r *request) error {
	p := r.path.project
	given := r.http.Header.Get("X-Project-Id")
	if p == "" && given == "" || p != "" && p == string(r.who.Project) && (given == "" || given == p) || p == "" && given == string(r.who.Project) {
		return nil
	}
	return &task.Error{
		Kind: task.Denied, Code: control.CodeRoleDenied, Text: "insufficient permissions: the access key is of another project",
		Next: "ask GET /v3/projects for the project id of this access key",
	}
}
