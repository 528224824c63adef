package didspaces

import (
	"crypto/sha3"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/did"
)

// The headers of a signed request.
const (
	headerDID        = "X-App-Did"
	headerKey        = "X-App-Pk"
	headerToken      = "X-App-Token"
	headerDelegation = "X-App-Delegation"
)

// agentRole is the permission that lets a wallet act for another.
const agentRole = "DIDSpaceAgent"

// signer is who signed a request.
type signer struct {
	did string // the bare address of the wallet
	// of is whom the wallet acts for: itself, or who delegated it.
	of string
}

// signed is what the token of a request was made for. The body is no part of it.
type signed struct {
	method string
	target string // path and query as they are on the request line
	// mounted is the same as the client saw it before a proxy took a prefix away; empty:
	// there is no proxy that says so.
	mounted string
}

// verify says who signed a request. The error says what is wrong with it.
func verify(h http.Header, s signed, now time.Time) (signer, error) {
	for _, name := range []string{headerDID, headerKey, headerToken} {
		if h.Get(name) == "" {
			return signer{}, unauthenticated("the request has no "+strings.ToLower(name)+" header",
				"sign it with the official client and a wallet; an access key is no use here")
		}
	}
	who, err := did.Parse(h.Get(headerDID))
	if err != nil {
		return signer{}, unauthenticated("x-app-did is no DID address", "send the wallet's address, e.g. zNK…")
	}
	pk, ok := parseKey(h.Get(headerKey))
	if !ok || !who.IsOf(pk) {
		return signer{}, unauthenticated("x-app-pk is not the public key of x-app-did", "send it as 0x and hexadecimal digits")
	}
	t, err := parseToken("x-app-token", h.Get(headerToken))
	if err != nil {
		return signer{}, err
	}
	if err := t.verify("x-app-token", who, pk, now); err != nil {
		return signer{}, err
	}
	if t.body.Until.value-t.body.Issued.value > int64((longestToken+slack)/time.Second) {
		return signer{}, unauthenticated("x-app-token is good for more than an hour", "make one for each request, as the official client does")
	}
	of, err := delegator(h.Get(headerDelegation), who, now)
	if err != nil {
		return signer{}, err
	}
	if !s.matches(t.body.Digest) {
		return signer{}, unauthenticated("x-app-token is made for another method or address than "+s.method+" "+s.target,
			"let no proxy change the path, or have it send X-Forwarded-Prefix")
	}
	return signer{did: who.String(), of: of}, nil
}

// delegator returns for whom a wallet acts.
func delegator(text string, who did.Address, now time.Time) (string, error) {
	if text == "" {
		return who.String(), nil
	}
	t, err := parseToken("x-app-delegation", text)
	if err != nil {
		return "", err
	}
	from, err := did.Parse(t.body.Delegator)
	pk, ok := parseKey(t.body.UserKey)
	if err != nil || !ok || !from.IsOf(pk) {
		return "", unauthenticated("x-app-delegation is not made by the wallet whose key it holds", "have the delegation made again")
	}
	if err := t.verify("x-app-delegation", from, pk, now); err != nil {
		return "", err
	}
	if to, err := did.Parse(t.body.Delegate); err != nil || to.String() != who.String() {
		return "", unauthenticated("x-app-delegation is made out to another wallet", "send one made out to x-app-did")
	}
	for _, p := range t.body.Permissions {
		if p.Role == agentRole {
			return from.String(), nil
		}
	}
	return "", unauthenticated("x-app-delegation does not hold the permission "+agentRole, "have it made with that role")
}

// matches says whether a digest is that of the request.
func (s signed) matches(digest string) bool {
	ok := subtle.ConstantTimeCompare([]byte(digest), []byte(digestFor(s.method, s.target))) == 1
	if s.mounted != "" {
		ok = subtle.ConstantTimeCompare([]byte(digest), []byte(digestFor(s.method, s.mounted))) == 1 || ok
	}
	return ok
}

// digestFor is what the client puts in a token: a hash of the request as JavaScript
// writes it. data is always empty, since the client leaves out what is no text.
func digestFor(method, target string) string {
	text := `{"data":{},"method":"` + escapeJS(method) + `","url":"` + escapeJS(target) + `"}`
	sum := sha3.Sum256([]byte(text))
	return "0x" + hex.EncodeToString(sum[:])
}

// escapeJS escapes as JSON.stringify does what can be in a request line.
func escapeJS(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}
