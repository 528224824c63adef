// Package did reads decentralized identifiers of the method abt: the addresses of apps and
// wallets, which are made from their public keys. It verifies no signatures.
package did

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"math/big"
	"strings"

	legacy "golang.org/x/crypto/sha3"
)

// Method begins a DID; an address is what follows.
const Method = "did:abt:"

// Address is a DID's address, taken apart. Its text is the only form it has: case
// matters, but for Ethereum addresses, whose text is the one with the checksum in it.
type Address struct {
	text string
	key  Key
	kind uint16 // role (6 bits), key (5), hash (5)
	eth  bool   // 20 bytes of an Ethereum address instead
}

// Key is the kind of key that an address is made from.
type Key uint8

// The kinds of key.
const (
	Ed25519 Key = iota
	Secp256k1
	Ethereum
	Passkey
)

// hashes are what an address may be made with, by the number in its type. Keccak-384 is
// missing: no library has it, and no wallet is known to use it.
var hashes = [...]func() hash.Hash{
	legacy.NewLegacyKeccak256,
	func() hash.Hash { return sha3.New256() },
	nil,
	func() hash.Hash { return sha3.New384() },
	legacy.NewLegacyKeccak512,
	func() hash.Hash { return sha3.New512() },
	sha256.New,
}

// String is the address without did:abt:, in the one form it has.
func (a Address) String() string { return a.text }

// Key is the kind of key that the address is made from.
func (a Address) Key() Key { return a.key }

// AnyCase says that case tells nothing apart in texts of the address.
func (a Address) AnyCase() bool { return a.eth }

func digestOf(h hash.Hash, parts ...[]byte) []byte {
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

var errAddress = errors.New("not a DID address")

// maxAddress is longer than any address is.
const maxAddress = 64

// Parse reads an address, with or without did:abt:.
func Parse(text string) (Address, error) {
	text = strings.TrimPrefix(text, Method)
	if len(text) > maxAddress {
		return Address{}, errAddress
	}
	if strings.HasPrefix(text, "0x") {
		return parseEthereum(text)
	}
	digits, ok := strings.CutPrefix(text, "z")
	if !ok {
		return Address{}, errAddress
	}
	raw, ok := decodeBase58(digits)
	if !ok || len(raw) != 26 {
		return Address{}, errAddress
	}
	kind := binary.BigEndian.Uint16(raw)
	a := Address{text: text, kind: kind, key: Key(kind >> 5 & 31)}
	h := a.hash()
	if h == nil || a.key > Passkey || !bytes.Equal(digestOf(h, raw[:22])[:4], raw[22:]) {
		return Address{}, errAddress
	}
	return a, nil
}

// hash returns the hash that an address is made with, nil when there is none such.
func (a Address) hash() hash.Hash {
	if n := int(a.kind & 31); n < len(hashes) && hashes[n] != nil {
		return hashes[n]()
	}
	return nil
}

// parseEthereum reads an Ethereum address. In one case alone it has no checksum; else the
// checksum must hold (EIP-55).
func parseEthereum(text string) (Address, error) {
	raw, err := hex.DecodeString(text[2:])
	if err != nil || len(raw) != 20 {
		return Address{}, errAddress
	}
	checked := checksumCase(raw)
	digits := text[2:]
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && text != checked {
		return Address{}, errAddress
	}
	return Address{text: checked, key: Ethereum, eth: true}, nil
}

// checksumCase writes 20 bytes as EIP-55 has it: a digit is upper case where the hash of
// the lower-case text says so.
func checksumCase(raw []byte) string {
	digits := []byte(hex.EncodeToString(raw))
	sum := digestOf(legacy.NewLegacyKeccak256(), digits)
	for i, c := range digits {
		if c >= 'a' && sum[i/2]>>(4*(1-i%2))&8 != 0 {
			digits[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(digits)
}

// IsOf says whether an address is made from a public key.
func (a Address) IsOf(pk []byte) bool {
	if a.eth {
		return len(pk) == 64 && checksumCase(digestOf(legacy.NewLegacyKeccak256(), pk)[12:]) == a.text
	}
	h := a.hash()
	var kind [2]byte
	binary.BigEndian.PutUint16(kind[:], a.kind)
	body := append(kind[:], digestOf(h, pk)[:20]...)
	h.Reset()
	return "z"+encodeBase58(append(body, digestOf(h, body)[:4]...)) == a.text
}

// base58 is the alphabet of Bitcoin.
const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

var fiftyEight = big.NewInt(58)

// encodeBase58 writes bytes as a number; zero bytes at the beginning are each a 1.
func encodeBase58(raw []byte) string {
	var digits []byte
	n, rest := new(big.Int).SetBytes(raw), new(big.Int)
	for n.Sign() > 0 {
		n.DivMod(n, fiftyEight, rest)
		digits = append(digits, base58[rest.Int64()])
	}
	for _, b := range raw {
		if b != 0 {
			break
		}
		digits = append(digits, base58[0])
	}
	for i, j := 0, len(digits)-1; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	return string(digits)
}

// decodeBase58 is the reverse of encodeBase58.
func decodeBase58(text string) ([]byte, bool) {
	if len(text) > maxAddress {
		return nil, false
	}
	zeros, leading := 0, true
	n := new(big.Int)
	for i := range len(text) {
		d := strings.IndexByte(base58, text[i])
		if d < 0 {
			return nil, false
		}
		if leading = leading && d == 0; leading {
			zeros++
		}
		n.Add(n.Mul(n, fiftyEight), big.NewInt(int64(d)))
	}
	return append(make([]byte, zeros), n.Bytes()...), true
}
