package didspaces

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/did"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// vectors were made with the published packages.
type vectors struct {
	VerifyAt int64 `json:"verifyAt"`
	Wallets  []struct {
		Label, PublicKey, Address, DID string
		Message                        struct{ HashHex, SignatureOverHash string }
		JWT                            []struct {
			Version, Token string
			SafeToAccept   bool
		}
	}
	Requests, Negatives []struct {
		Label, Method, RequestTarget, Expect, Identity string
		Headers                                        map[string]string
	}
	Delegations []struct{ Label, From, Token, Expect string }
	Digests     []struct{ Method, URL, Digest string }
	Addresses   struct{ Valid, Invalid []string }
}

func readVectors(tb testing.TB) (v vectors, now time.Time) {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	return v, time.Unix(v.VerifyAt, 0)
}

func headersOf(from map[string]string) http.Header {
	h := http.Header{}
	for k, v := range from {
		h.Set(k, v)
	}
	return h
}

// wantRefused wants an error that says what is wrong and what to do.
func wantRefused(t *testing.T, what string, err error) {
	t.Helper()
	e, ok := err.(*task.Error) //nolint:errorlint // it is not wrapped
	if !ok || e.Kind != task.Denied || e.Code != codeUnauthenticated || e.Text == "" || e.Next == "" {
		t.Errorf("%s: %v", what, err)
	}
}

// Every vector: wallets and their tokens, requests, delegations, negatives, digests,
// addresses.
func TestVectors(t *testing.T) {
	t.Parallel()
	v, now := readVectors(t)
	cases := 0
	for _, w := range v.Wallets {
		cases++
		a, err := did.Parse(w.DID)
		pk, ok := parseKey(w.PublicKey)
		if err != nil || !ok || a.String() != w.Address || !a.IsOf(pk) {
			t.Errorf("%s: %+v, %v", w.Label, a, err)
			continue
		}
		cases++
		if hash, ok := parseKey(w.Message.HashHex); !ok || !signedOver(t, a, pk, hash, w.Message.SignatureOverHash) {
			t.Errorf("%s: the signature of its message does not verify", w.Label)
		}
		for _, j := range w.JWT {
			cases += 2
			tok, err := parseToken("token", j.Token)
			if err != nil || tok.body.Version != j.Version {
				t.Errorf("%s %s: %v", w.Label, j.Version, err)
				continue
			}
			if err := tok.verify("token", a, pk, now); (err == nil) != j.SafeToAccept {
				t.Errorf("%s %s: %v, want %v", w.Label, j.Version, err, j.SafeToAccept)
			} else if err != nil {
				wantRefused(t, w.Label, err)
				if !strings.Contains(err.Error(), "forge") {
					t.Errorf("%s: %v does not explain the hole", w.Label, err)
				}
			}
			flipped := []byte(j.Token)
			flipped[len(flipped)-20] ^= 1
			if tok, err := parseToken("token", string(flipped)); err == nil {
				wantRefused(t, w.Label+" with another signature", tok.verify("token", a, pk, now))
			}
		}
	}
	for _, r := range append(v.Requests, v.Negatives...) {
		cases++
		who, err := verify(headersOf(r.Headers), signed{method: r.Method, target: r.RequestTarget}, now)
		if r.Expect == "accept" {
			if err != nil || who.of != r.Identity || who.did != r.Headers["x-app-did"] {
				t.Errorf("%s: %+v, %v", r.Label, who, err)
			}
			continue
		}
		wantRefused(t, r.Label, err)
	}
	agent, err := did.Parse("zNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpng6")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range v.Delegations {
		cases++
		of, err := delegator(d.Token, agent, now)
		if d.Expect == "accept" {
			if err != nil || of != d.From {
				t.Errorf("%s: %s, %v", d.Label, of, err)
			}
			continue
		}
		wantRefused(t, d.Label, err)
	}
	for _, d := range v.Digests {
		cases++
		u, err := url.Parse(d.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := digestFor(d.Method, u.RequestURI()); got != d.Digest {
			t.Errorf("%s %s: %s", d.Method, d.URL, got)
		}
	}
	for _, a := range v.Addresses.Valid {
		cases++
		if _, err := did.Parse(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range v.Addresses.Invalid {
		cases++
		if _, err := did.Parse(a); err == nil {
			t.Errorf("%s is an address", a)
		}
	}
	// All that the file holds but the steps of derivations, which package did takes.
	if cases != 178 {
		t.Errorf("%d cases", cases)
	}
}

// signedOver says whether the owner of a key signed a hash.
func signedOver(t *testing.T, a did.Address, pk, hash []byte, signature string) bool {
	t.Helper()
	sig, err := hex.DecodeString(strings.TrimPrefix(signature, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	switch a.Key() {
	case did.Ed25519:
		return ed25519.Verify(pk, hash, sig)
	case did.Ethereum:
		pk = append([]byte{4}, pk...)
	case did.Secp256k1, did.Passkey:
	}
	return verifyECDSA(pk, hash, sig)
}

// What upstream lets pass and this server does not.
func TestVerifyIsStricter(t *testing.T) {
	t.Parallel()
	v, now := readVectors(t)
	good := v.Requests[1]
	s := signed{method: good.Method, target: good.RequestTarget}
	for name, at := range map[string]time.Time{"before": now.Add(-2 * time.Hour), "after": now.Add(2 * time.Hour)} {
		_, err := verify(headersOf(good.Headers), s, at)
		wantRefused(t, name, err)
	}
	h := headersOf(good.Headers)
	h.Set(headerToken, strings.Repeat("a", maxToken+1))
	_, err := verify(h, s, now)
	wantRefused(t, "long", err)
	h = headersOf(good.Headers)
	h.Set(headerToken, h.Get(headerToken)+"=")
	_, err = verify(h, s, now)
	wantRefused(t, "padded", err)
	// A proxy took a prefix away, and says so.
	short := signed{method: good.Method, target: strings.TrimPrefix(good.RequestTarget, "/app")}
	_, err = verify(headersOf(good.Headers), short, now)
	wantRefused(t, "behind a proxy that says nothing", err)
	short.mounted = "/app" + short.target
	if _, err := verify(headersOf(good.Headers), short, now); err != nil {
		t.Error(err)
	}
}

func FuzzToken(f *testing.F) {
	v, now := readVectors(f)
	r := v.Requests[0]
	for _, w := range v.Wallets {
		for _, j := range w.JWT {
			f.Add(w.Address, w.PublicKey, j.Token, "")
		}
	}
	for _, d := range v.Delegations {
		f.Add(r.Headers["x-app-did"], r.Headers["x-app-pk"], r.Headers["x-app-token"], d.Token)
	}
	f.Add(r.Headers["x-app-did"], r.Headers["x-app-pk"], "e30.eyJpYXQiOjFlOX0.", "")
	f.Fuzz(func(t *testing.T, did, pk, text, delegation string) {
		h := http.Header{headerDID: {did}, headerKey: {pk}, headerToken: {text}, headerDelegation: {delegation}}
		who, err := verify(h, signed{method: r.Method, target: r.RequestTarget}, now)
		if err != nil {
			wantRefused(t, text, err)
			return
		}
		// Nobody can sign here but those whose tokens are seeds.
		for _, ok := range append(v.Requests, v.Negatives...) {
			if ok.Headers["x-app-token"] == text && ok.Headers["x-app-did"] == who.did {
				return
			}
		}
		t.Fatalf("%+v is a signer of %q", who, text)
	})
}
