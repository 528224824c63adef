package did

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// Of the published packages; the dialect's vectors hold many more.
var examples = map[string]string{
	"z1TizjMJ8kxbjyVsTfS7NBb1NJijpbG8vwK":        "9dc2a9a794c09d552a8b03720d74f1f63dbd45fc17bab64dca6439b7c17fb441",
	"zNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpng6":       "a649a34f8fdcab6e020f808150d63414d531a096a828946a02d849808d9d5d61",
	"0xb0C20Bb45871Cbf5287080B0663aDBe198A0A21B": "93d58d3e2f877076c4aef6c896cdd40c24c37525c07759eb1bb66559524ed1eb5db360820cb074c7d920606f082baef07459f162ca607c30560bbb3bb0ede512",
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, digits := range examples {
		pk, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{text, Method + text} {
			a, err := Parse(form)
			if err != nil || a.String() != text || !a.IsOf(pk) || a.IsOf(pk[:len(pk)-1]) || a.IsOf(make([]byte, ed25519.PublicKeySize)) {
				t.Errorf("%s: %+v, %v", form, a, err)
			}
		}
	}
	// One case alone has no checksum, and is written with it.
	if a, err := Parse("0xb0c20bb45871cbf5287080b0663adbe198a0a21b"); err != nil || a.String() != "0xb0C20Bb45871Cbf5287080B0663aDBe198A0A21B" || !a.AnyCase() || a.Key() != Ethereum {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{
		"", "z", "z1", "did:abt:", "0x1234", "0xB0C20Bb45871Cbf5287080B0663aDBe198A0A21B", "zNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpngx",
		"ZNKqCB9eg4CWCF7S23oo4AcnNceqwPVgpng6", "did:abt:did:abt:z1TizjMJ8kxbjyVsTfS7NBb1NJijpbG8vwK", "z" + strings.Repeat("1", 35), "z" + strings.Repeat("z", 1000),
	} {
		if a, err := Parse(bad); err == nil {
			t.Errorf("%s is %+v", bad, a)
		}
	}
}

// Every step from a key to an address, as the published packages take it.
func TestDerivation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../api/didspaces/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Wallets []struct {
			Label, Address string
			Type           struct{ Key, Hash [2]any }
			Derivation     struct{ TypeHex, Body22Hex, ChecksumHex, Full26Hex string }
		}
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	derived := 0
	for _, w := range v.Wallets {
		a, err := Parse(w.Address)
		if err != nil || float64(a.Key()) != w.Type.Key[0] {
			t.Errorf("%s: %+v, %v", w.Label, a, err)
		}
		if a.AnyCase() {
			continue
		}
		derived++
		raw, _ := decodeBase58(w.Address[1:])
		d := w.Derivation
		if hex.EncodeToString(raw) != d.Full26Hex || d.Body22Hex+d.ChecksumHex != d.Full26Hex || fmt.Sprintf("%04x", a.kind) != d.TypeHex || float64(a.kind&31) != w.Type.Hash[0] {
			t.Errorf("%s: %x, want %+v", w.Label, raw, d)
		}
	}
	if derived != 14 {
		t.Errorf("%d derivations", derived)
	}
}

func FuzzParse(f *testing.F) {
	for text := range examples {
		f.Add(text)
		f.Add(Method + text)
		f.Add(strings.ToLower(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(a.String())
		if err != nil || again != a {
			t.Fatalf("%q reads as %+v, that as %+v, %v", text, a, again, err)
		}
		if bare := strings.TrimPrefix(text, Method); !a.AnyCase() && bare != a.String() {
			t.Fatalf("%q has two forms", text)
		}
		a.IsOf([]byte(text))
	})
}

func FuzzBase58(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:min(len(raw), 40)]
		if got, ok := decodeBase58(encodeBase58(raw)); !ok || string(got) != string(raw) {
			t.Fatalf("%x comes back as %x", raw, got)
		}
	})
}
