package didspaces

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/lockstep-sync/lockstep/internal/did"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// codeUnauthenticated is the code of requests whose signer is not known.
const codeUnauthenticated = "UNAUTHENTICATED"

// unauthenticated refuses a request that is not signed as it must be.
func unauthenticated(text, next string) error {
	return &task.Error{Kind: task.Denied, Code: codeUnauthenticated, Text: text, Next: next}
}

// slack is how far the clocks of a client and of this server may be apart.
const slack = 5 * time.Second

// maxToken bounds a token, in bytes. The client's have 400.
const maxToken = 8 << 10

// longestToken is how long a token for a request may be good for: its client makes them
// for an hour, and whoever reads one can use it so long.
const longestToken = time.Hour

// token is a compact JWT, taken apart and not yet verified.
type token struct {
	signed    string // header.body
	signature []byte
	alg       string
	body      claims
}

// claims are the fields of a token that count. Times are decimal text.
type claims struct {
	Issuer  string `json:"iss"`
	Issued  number `json:"iat"`
	From    number `json:"nbf"`
	Until   number `json:"exp"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	// Of delegations.
	Delegator   string `json:"from"`
	Delegate    string `json:"to"`
	UserKey     string `json:"userPk"`
	Permissions []struct {
		Role string `json:"role"`
	} `json:"permissions"`
}

// number is a whole number, as JSON has it or as text.
type number struct {
	value int64
	given bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	digits := strings.Trim(string(text), `"`)
	v, err := strconv.ParseInt(digits, 10, 53)
	*n = number{v, err == nil}
	return err
}

var urlBase64 = base64.RawURLEncoding.Strict()

// parseToken takes a token apart. what names it in errors.
func parseToken(what, text string) (t token, err error) {
	broken := func(how string) error {
		return unauthenticated(what+" is no token: "+how, "sign the request with the official client")
	}
	if len(text) > maxToken {
		return t, broken("it is too long")
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return t, broken("it has not three parts")
	}
	var raw [3][]byte
	for i, p := range parts {
		if raw[i], err = urlBase64.DecodeString(p); err != nil {
			return t, broken("a part is not base64url")
		}
	}
	var header struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(raw[0], &header) != nil || json.Unmarshal(raw[1], &t.body) != nil {
		return t, broken("its header or body cannot be read")
	}
	t.signed, t.signature, t.alg = parts[0]+"."+parts[1], raw[2], header.Alg
	return t, nil
}

// algorithms are the names of the signatures that a kind of key makes, in lower case.
var algorithms = map[did.Key][]string{
	did.Ed25519: {"ed25519"}, did.Secp256k1: {"es256k", "secp256k1"}, did.Ethereum: {"ethereum"}, did.Passkey: {"passkey"},
}

// verify checks that the owner of a public key signed the token and that its times fit.
// who is the address that the key must have.
func (t token) verify(what string, who did.Address, pk []byte, now time.Time) error {
	refuse := func(text, next string) error { return unauthenticated(what+" "+text, next) }
	fits := false
	for _, name := range algorithms[who.Key()] {
		fits = fits || strings.EqualFold(t.alg, name)
	}
	switch {
	case who.Key() == did.Passkey:
		return refuse("is signed with a passkey, which programs cannot use", "use an Ed25519 wallet")
	case !fits:
		return refuse("names an algorithm that does not fit the key of "+who.String(), "use the official client")
	case t.body.Issuer != did.Method+who.String() && t.body.Issuer != who.String() && !(who.AnyCase() && strings.EqualFold(strings.TrimPrefix(t.body.Issuer, did.Method), who.String())):
		return refuse("is issued by another DID than the one whose key it is sent with", "send x-app-did and x-app-pk of the wallet that signs")
	}
	if err := t.inTime(what, now); err != nil {
		return err
	}
	if who.Key() != did.Ed25519 && t.body.Version != "1.1.0" {
		return refuse("is of a version in which signatures of this kind of key cover the first 32 bytes of a constant header and nothing else: "+
			"whoever has seen one can forge any other", "sign with an Ed25519 wallet, or pass the client "+
			"{...wallet, signJWT: (payload, doSign) => wallet.signJWT(payload, doSign, '1.1.0')}")
	}
	if !t.signedBy(who.Key(), pk) {
		return refuse("is not signed by the key that x-app-pk gives", "sign the request with the official client")
	}
	return nil
}

// inTime checks the times of a token, which it must have.
func (t token) inTime(what string, now time.Time) error {
	b := t.body
	at := func(n number) time.Time { return time.Unix(n.value, 0) }
	switch {
	case !b.Issued.given || !b.From.given || !b.Until.given:
		return unauthenticated(what+" lacks iat, nbf or exp", "sign the request with the official client")
	case at(b.Until).Add(slack).Before(now):
		return unauthenticated(what+" has expired", "make a new one; if it was made just now, set the client's clock")
	case at(b.Issued).After(now.Add(slack)), at(b.From).After(now.Add(slack)):
		return unauthenticated(what+" is from the future", "set the client's clock")
	}
	return nil
}

// signedBy verifies the signature. From version 1.1.0 on the message is hashed first;
// before, keys on curves with a hash of their own sign nothing (verify refuses them).
func (t token) signedBy(key did.Key, pk []byte) bool {
	message := []byte(t.signed)
	if t.body.Version == "1.1.0" {
		sum := sha3.Sum256(message)
		message = sum[:]
	}
	switch key {
	case did.Ed25519:
		return len(pk) == ed25519.PublicKeySize && ed25519.Verify(pk, message, t.signature)
	case did.Ethereum:
		pk = append([]byte{4}, pk...)
		fallthrough
	case did.Secp256k1:
		return verifyECDSA(pk, message, t.signature)
	case did.Passkey:
	}
	return false
}

// verifyECDSA takes a signature in DER with a low S: the other S would be a second
// signature of the same message.
func verifyECDSA(pk, hash, der []byte) bool {
	if len(pk) != 65 || len(hash) != 32 {
		return false
	}
	key, err := secp256k1.ParsePubKey(pk)
	if err != nil {
		return false
	}
	sig, err := ecdsa.ParseDERSignature(der)
	if err != nil {
		return false
	}
	s := sig.S()
	return !s.IsOverHalfOrder() && bytes.Equal(sig.Serialize(), der) && sig.Verify(hash, key)
}

// parseKey reads a public key: 0x and hexadecimal digits.
func parseKey(text string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) > 130 {
		return nil, false
	}
	pk, err := hex.DecodeString(digits)
	return pk, err == nil && len(pk) > 0
}
