package oms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/secret"
)

// vectors were made by the official SDK's own signers and checked by independent code.
type vectors struct {
	AK, SK, Host string
	Vectors      []struct {
		Name, Method, Path, Query, Body, Algorithm, Authorization string
		Headers                                                   map[string]string
	}
}

func readVectors(tb testing.TB) vectors {
	tb.Helper()
	raw, err := os.ReadFile("testdata/signature-vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

var vectorTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// check verifies a request as the API does.
func check(r signedRequest, authorization, ak, sk string, now time.Time) (ok bool, why string) {
	a, ok := parseAuthorization(authorization)
	if !ok || a.access != ak {
		return false, "header"
	}
	text, why := toSign(r, a.signed, now)
	return why == "" && verifies(text, a.signature, secret.New(sk)), why
}

func vectorRequests(tb testing.TB) (out []signedRequest, auth []string, ak, sk string) {
	tb.Helper()
	v := readVectors(tb)
	for _, x := range v.Vectors {
		h := http.Header{}
		for name, value := range x.Headers {
			h.Set(name, value)
		}
		out = append(out, signedRequest{x.Method, x.Path, x.Query, v.Host, h, []byte(x.Body), false})
		auth = append(auth, x.Authorization)
	}
	return out, auth, v.AK, v.SK
}

func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	all, auth, ak, sk := vectorRequests(t)
	passed := 0
	for i, r := range all {
		ours := strings.HasPrefix(auth[i], algorithm+" ")
		ok, why := check(r, auth[i], ak, sk, vectorTime)
		if ok != ours {
			t.Errorf("%s %s: %v (%s), want %v", auth[i][:20], r.path, ok, why, ours)
		}
		if !ours {
			continue
		}
		passed++
		for name, changed := range map[string]signedRequest{
			"method": {"PUT", r.path, r.query, r.host, r.headers, r.body, false},
			"path":   {r.method, r.path + "x", r.query, r.host, r.headers, r.body, false},
			"query":  {r.method, r.path, r.query + "&a=b", r.host, r.headers, r.body, false},
			"body":   {r.method, r.path, r.query, r.host, r.headers, append([]byte("x"), r.body...), false},
		} {
			if ok, _ := check(changed, auth[i], ak, sk, vectorTime); ok {
				t.Errorf("%s: verifies with another %s", r.path, name)
			}
		}
		if ok, _ := check(r, auth[i], ak, sk+"x", vectorTime); ok {
			t.Errorf("%s: verifies with another secret", r.path)
		}
	}
	if passed != 6 {
		t.Fatalf("%d vectors of %s, want 6", passed, algorithm)
	}
}

func TestSignatureTimeWithinFifteenMinutes(t *testing.T) {
	t.Parallel()
	all, auth, ak, sk := vectorRequests(t)
	for d, want := range map[time.Duration]bool{
		15 * time.Minute: true, -15 * time.Minute: true, 15*time.Minute + time.Second: false, -15*time.Minute - time.Second: false, 24 * time.Hour: false,
	} {
		if ok, _ := check(all[0], auth[0], ak, sk, vectorTime.Add(d)); ok != want {
			t.Errorf("%v off: %v", d, ok)
		}
	}
}

func TestAuthorizationHeaderForms(t *testing.T) {
	t.Parallel()
	_, auth, _, _ := vectorRequests(t)
	good := auth[0]
	for header, want := range map[string]bool{
		good:                                  true,
		strings.ReplaceAll(good, ", ", ","):   true, // none after the commas is tolerated
		strings.ReplaceAll(good, ", ", ",  "): false,
		strings.ToUpper(good):                 false,
		good + "0":                            false,
		good[:len(good)-1]:                    false,
		good[:len(good)-1] + "G":              false,
		strings.Replace(good, "Access=AccessKeyExample0001", "Access=", 1): false,
		strings.Replace(good, "SDK-HMAC", "SDK-HMAC-SM3", 1):               false,
		"":                               false,
		algorithm:                        false,
		algorithm + " ":                  false,
		algorithm + " " + good:           false,
		strings.Repeat("a", 10<<10):      false,
		good + strings.Repeat(" ", 9000): false,
	} {
		if _, ok := parseAuthorization(header); ok != want {
			t.Errorf("%.120q: %v, want %v", header, ok, want)
		}
	}
}

// sdkHeaderSets are the signed headers of every known client.
var sdkHeaderSets = map[string][]string{
	"Go":                {"user-agent", "x-project-id", "x-sdk-date"},
	"Go no project":     {"user-agent", "x-sdk-date"},
	"Go IAM":            {"x-sdk-date"},
	"Go extra":          {"user-agent", "x-extra", "x-project-id", "x-sdk-date"},
	"Node":              {"content-type", "host", "x-project-id", "x-sdk-date"},
	"Python":            {"content-type", "host", "user-agent", "x-project-id", "x-sdk-date"},
	"Java old":          {"content-type", "host", "x-project-id", "x-sdk-date"},
	"Java new":          {"host", "x-project-id", "x-sdk-date"},
	"Terraform":         {"accept", "content-type", "user-agent", "x-sdk-date"},
	"Terraform no body": {"accept", "user-agent", "x-sdk-date"},
}

func signedSet() signedRequest {
	h := http.Header{}
	h.Set("User-Agent", "huaweicloud-usdk")
	h.Set("X-Project-Id", "p")
	h.Set("X-Sdk-Date", vectorTime.Format(stampFormat))
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("Accept", "application/json")
	h.Set("X-Extra", " two  spaces ")
	return signedRequest{
		method: "POST", path: "/v2/p/sync-tasks", query: "b=2&a=1&a=0&empty", host: "h:8080", headers: h, body: []byte("{}\n"),
	}
}

// authorize signs as a client does.
func authorize(tb testing.TB, r signedRequest, names []string) string {
	tb.Helper()
	signed := strings.Join(names, ";")
	text, why := toSign(r, signed, vectorTime)
	if why != "" {
		tb.Fatal(why)
	}
	return algorithm + " Access=AK, SignedHeaders=" + signed + ", Signature=" + sign(text, secret.New("SK"))
}

func TestEverySignedHeaderSet(t *testing.T) {
	t.Parallel()
	for name, set := range sdkHeaderSets {
		r := signedSet()
		auth := authorize(t, r, set)
		if ok, why := check(r, auth, "AK", "SK", vectorTime); !ok {
			t.Errorf("%s: %s", name, why)
		}
		for _, h := range set {
			changed := r
			if h == "host" {
				changed.host = "other"
			} else {
				changed.headers = r.headers.Clone()
				changed.headers.Set(h, "other")
			}
			if ok, _ := check(changed, auth, "AK", "SK", vectorTime); ok {
				t.Errorf("%s: verifies with another %s", name, h)
			}
			changed.headers = r.headers.Clone()
			changed.headers.Del(h)
			if ok, _ := check(changed, auth, "AK", "SK", vectorTime); h != "host" && ok {
				t.Errorf("%s: verifies without %s", name, h)
			}
		}
		// What is added after signing, or by a proxy, is harmless.
		r.headers.Set("X-Domain-Id", "d")
		r.headers.Set("Via", "proxy")
		if ok, _ := check(r, auth, "AK", "SK", vectorTime); !ok {
			t.Errorf("%s: added headers harm", name)
		}
	}
}

func TestDateMustBeSigned(t *testing.T) {
	t.Parallel()
	r := signedSet()
	if _, why := toSign(r, "host;user-agent", vectorTime); why == "" {
		t.Fatal("a signature without the date may be")
	}
}

func TestUnsignedContentHashIsRefused(t *testing.T) {
	t.Parallel()
	r := signedSet()
	set := []string{"x-sdk-date"}
	auth := authorize(t, r, set)
	// Somebody between swaps the body and sends the hash of the old one along.
	swapped := r
	swapped.headers = r.headers.Clone()
	swapped.headers.Set("X-Sdk-Content-Sha256", "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356")
	swapped.body = []byte(`{"evil":true}`)
	if ok, _ := check(swapped, auth, "AK", "SK", vectorTime); ok {
		t.Fatal("a swapped body verifies")
	}
	swapped.body = r.body
	if _, why := toSign(swapped, "x-sdk-date", vectorTime); why == "" {
		t.Fatal("an unsigned X-Sdk-Content-Sha256 is taken")
	}
	// Signed, it must be the body's.
	for _, value := range []string{"UNSIGNED-PAYLOAD", strings.Repeat("0", 64)} {
		swapped.headers.Set("X-Sdk-Content-Sha256", value)
		if _, why := toSign(swapped, "x-sdk-content-sha256;x-sdk-date", vectorTime); why == "" {
			t.Fatalf("%s is taken", value)
		}
	}
	swapped.headers.Set("X-Sdk-Content-Sha256", "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356")
	if _, why := toSign(swapped, "x-sdk-content-sha256;x-sdk-date", vectorTime); why != "" {
		t.Fatal(why)
	}
}

// Where it is switched on a client may leave the body out, by a header that it signs, and
// in no other way.
func TestUnsignedPayloadIsTakenWhereItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	r := signedSet()
	r.anyBody = true
	r.headers.Set("X-Sdk-Content-Sha256", unsignedPayload)
	set := []string{"x-sdk-content-sha256", "x-sdk-date"}
	auth := authorize(t, r, set)
	r.body = []byte("another")
	if ok, why := check(r, auth, "AK", "SK", vectorTime); !ok {
		t.Errorf("a body that was left out: %s", why)
	}
	off := r
	off.anyBody = false
	if ok, _ := check(off, auth, "AK", "SK", vectorTime); ok {
		t.Error("it verifies where it is not switched on")
	}
	if _, why := toSign(r, "x-sdk-date", vectorTime); why == "" {
		t.Error("it is taken although it is not signed")
	}
	r.headers.Add("X-Sdk-Content-Sha256", unsignedPayload)
	if _, why := toSign(r, "x-sdk-content-sha256;x-sdk-date", vectorTime); why == "" {
		t.Error("it is taken twice")
	}
	// A body that is signed is signed as ever.
	signed := signedSet()
	signed.anyBody = true
	auth = authorize(t, signed, set[1:])
	signed.body = []byte("another")
	if ok, _ := check(signed, auth, "AK", "SK", vectorTime); ok {
		t.Error("another body verifies")
	}
}

func TestCanonicalQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                      "",
		"a":                     "a=",
		"a=":                    "a=",
		"b=2&a=1":               "a=1&b=2",
		"a=2&a=1":               "a=1&a=2",
		"a=b%20c+d":             "a=b%20c%20d",
		"a=%E4%B8%AD*'~":        "a=%E4%B8%AD%2A%27~",
		"&&a=1&":                "a=1",
		"data_type=A%2CB&x=y=z": "data_type=A%2CB&x=y%3Dz",
	} {
		got, ok := appendQuery(nil, raw)
		if !ok || string(got) != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	if _, ok := appendQuery(nil, "a=%zz"); ok {
		t.Error("a query that cannot be decoded is taken")
	}
}

func FuzzAuthorization(f *testing.F) {
	_, auth, _, _ := vectorRequests(f)
	for _, a := range auth {
		f.Add(a)
	}
	f.Add(algorithm + " Access=a, SignedHeaders=;;;x-sdk-date, Signature=" + strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, header string) {
		a, ok := parseAuthorization(header)
		if !ok {
			return
		}
		if a.access == "" || a.signed == "" || len(a.signature) != 32 {
			t.Fatalf("%+v of %q", a, header)
		}
		r := signedSet()
		if text, why := toSign(r, a.signed, vectorTime); why == "" && verifies(text, a.signature, secret.New("SK")) {
			t.Fatalf("%q verifies", header)
		}
	})
}

// A canonical query is canonical: it says the same pairs, and is its own canonical form.
func FuzzCanonicalQuery(f *testing.F) {
	all, _, _, _ := vectorRequests(f)
	for _, r := range all {
		f.Add(r.query)
	}
	f.Add("a=%2B+%zz&b&&=c")
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := appendQuery(nil, raw)
		if !ok {
			return
		}
		again, ok := appendQuery(nil, string(got))
		if !ok || string(again) != string(got) {
			t.Fatalf("%q: %q, then %q", raw, got, again)
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			return // a ; is no separator here, and an error there
		}
		have, err := url.ParseQuery(string(got))
		if err != nil {
			t.Fatal(err)
		}
		if len(have) != len(want) {
			t.Fatalf("%q: %v, want %v", raw, have, want)
		}
	})
}

// sign is what a client does with the string to sign.
func sign(text []byte, s secret.String) string {
	mac := hmac.New(sha256.New, []byte(s.Reveal()))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}
