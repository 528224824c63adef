package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// A sealed blob is, in this order: the format, the id of the key, a random nonce, and
// what AES-256-GCM makes of the plain text (NIST SP 800-38D). Format, key id and purpose
// are its associated data.
const (
	format1   = 1
	idSize    = 8
	nonceSize = 12
	tagSize   = 16
	// Overhead is how many bytes longer a sealed blob is than its plain text.
	Overhead = 1 + idSize + nonceSize + tagSize
)

// KeyID tells sealing keys apart without saying anything about them.
type KeyID [idSize]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Box seals and opens. It may be used concurrently.
type Box struct {
	current KeyID
	keys    map[KeyID]cipher.AEAD
	marks   map[KeyID][]byte // keys of Mark, each derived from a sealing key
}

// NewBox returns a box that seals with key and also opens what older keys sealed.
func NewBox(key Key, older ...Key) (*Box, error) {
	b := &Box{current: key.ID(), keys: make(map[KeyID]cipher.AEAD, 1+len(older)), marks: make(map[KeyID][]byte, 1+len(older))}
	for _, k := range append([]Key{key}, older...) {
		block, err := aes.NewCipher(k.bytes[:])
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		b.keys[k.ID()] = aead
		b.marks[k.ID()] = mark(k.bytes[:], "lockstep mark key 1")
	}
	return b, nil
}

// SealedWith is the id of the key that made a blob, for advice; ok is false when it is
// none of ours.
func SealedWith(sealed []byte) (id KeyID, ok bool) {
	if len(sealed) < Overhead || sealed[0] != format1 {
		return id, false
	}
	return KeyID(sealed[1 : 1+idSize]), true
}

// Current is the id of the key that seals.
func (b *Box) Current() KeyID { return b.current }

// Seal encrypts plain for a purpose, e.g. "access-key:LS…". Only Open with the same
// purpose gives it back, so that a blob moved to another row opens nowhere.
func (b *Box) Seal(purpose string, plain []byte) []byte {
	out := make([]byte, 1+idSize+nonceSize, Overhead+len(plain))
	out[0] = format1
	copy(out[1:], b.current[:])
	rand.Read(out[1+idSize:])
	return b.keys[b.current].Seal(out, out[1+idSize:], plain, associated(out, purpose))
}

// Open decrypts what Seal made for the same purpose. Errors have the codes
// SEAL_DAMAGED, SEAL_KEY_UNKNOWN and SEAL_PURPOSE, and hold nothing of the blob.
func (b *Box) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead || sealed[0] != format1 {
		return nil, &task.Error{
			Code: "SEAL_DAMAGED", Text: "a sealed secret is damaged or of an unknown format",
			Next: "enter the secret again",
		}
	}
	id := KeyID(sealed[1 : 1+idSize])
	aead := b.keys[id]
	if aead == nil {
		return nil, &task.Error{
			Code: "SEAL_KEY_UNKNOWN",
			Text: "a secret was sealed with key " + id.String() + ", but this process has key " + b.current.String(),
			Next: "start with the sealing key of this database (--seal-key-file or " + KeyVariable + "), or enter the secret again",
		}
	}
	nonce := sealed[1+idSize : 1+idSize+nonceSize]
	plain, err := aead.Open(nil, nonce, sealed[1+idSize+nonceSize:], associated(sealed, purpose))
	if err != nil {
		return nil, &task.Error{
			Code: "SEAL_PURPOSE", Text: "a sealed secret was sealed for another purpose, or is damaged",
			Next: "enter the secret again",
		}
	}
	return plain, nil
}

// MarkSize is the length of a mark in bytes.
const MarkSize = sha256.Size

// Mark returns the HMAC-SHA256 (RFC 2104) of text for a purpose, under a key derived from
// the sealing key. Nobody without that key can make it. A purpose holds no zero byte.
func (b *Box) Mark(purpose string, text []byte) []byte {
	return mark(b.marks[b.current], purpose+"\x00"+string(text))
}

// Marked says whether Mark made this of the same purpose and text, with this key or an
// older one. It takes the same time wherever two marks differ.
func (b *Box) Marked(purpose string, text, given []byte) bool {
	for _, key := range b.marks {
		if hmac.Equal(given, mark(key, purpose+"\x00"+string(text))) {
			return true
		}
	}
	return false
}

func mark(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// associated binds the header of a blob and its purpose.
func associated(blob []byte, purpose string) []byte {
	return append(blob[:1+idSize:1+idSize], purpose...)
}

// ID is a part of the key's SHA-256.
func (k Key) ID() KeyID {
	sum := sha256.Sum256(append([]byte("lockstep sealing key\n"), k.bytes[:]...))
	return KeyID(sum[:idSize])
}
