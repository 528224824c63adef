// Package objstore defines the contract between Lockstep and the stores that
// hold objects. A driver (s3, file, mem) implements Bucket; retry, limit and
// meter take a Bucket and return a Bucket. Drivers know buckets and keys, never
// tasks. objstoretest holds the conformance suite that every driver passes.
//
// A key is opaque bytes held in a string: it is never cleaned, joined,
// normalized or re-cased, and it need not be UTF-8 where the store has such keys.
package objstore

import (
	"context"
	"io"
	"iter"
	"time"
)

// Bucket is one bucket, or a directory used as one. Methods may be called
// concurrently. Errors satisfy errors.Is with one of this package's sentinels
// and are *Error where a store answered; a cancelled context's satisfy
// errors.Is with context.Canceled. The empty key is no key: ErrKey, always.
type Bucket interface {
	// List yields the objects in ascending byte order of their whole keys
	// ("a.txt" before "a/b"), one page at a time. An error ends the sequence: it is
	// yielded once, with an empty page. A page belongs to the receiver.
	List(ctx context.Context, opt ListOptions) iter.Seq2[Page, error]

	// Stat describes one object.
	Stat(ctx context.Context, key string) (Info, error)

	// Open reads an object or a range of it. The caller closes Content.Body. A body
	// that ends early fails its Read with an error that is ErrUnavailable, never
	// with a plain io.EOF.
	Open(ctx context.Context, key string, opt OpenOptions) (*Content, error)

	// Put stores exactly size bytes of body under key. The old object stays visible
	// until the new one is complete; after an error nothing of body is visible
	// unless the reply alone was lost. Put does not close body, nor read it after
	// it has returned: the caller may use the buffer behind it again.
	Put(ctx context.Context, key string, body io.Reader, size int64, opt PutOptions) (Written, error)

	// CreateMultipart begins an upload in parts; nothing is visible before
	// CompleteMultipart. Conditions in opt apply at completion and are given there.
	CreateMultipart(ctx context.Context, key string, opt PutOptions) (uploadID string, err error)
	// PutPart stores part number (from 1) of an upload; repeating a number replaces it.
	PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt PartOptions) (Part, error)
	// ListParts returns the parts stored so far in ascending order, ErrNotFound when
	// the upload does not exist (any more).
	ListParts(ctx context.Context, key, uploadID string) ([]Part, error)
	// CompleteMultipart makes the object of the parts, in ascending order.
	CompleteMultipart(ctx context.Context, key, uploadID string, parts []Part, opt CompleteOptions) (Written, error)
	// AbortMultipart forgets an upload; one that does not exist is no error.
	AbortMultipart(ctx context.Context, key, uploadID string) error

	// Copy makes key from an object of the same service without moving its bytes
	// through the client. ErrUnsupported when src is on another service. When opt
	// names no header, metadata or tags the source's are kept, else opt's replace
	// them all.
	Copy(ctx context.Context, key string, src CopySource, opt PutOptions) (Written, error)
	// CopyPart is PutPart with bytes [src.Offset, src.Offset+src.Length) of an
	// object of the same service.
	CopyPart(ctx context.Context, key, uploadID string, number int, src CopySource) (Part, error)

	// Delete removes key; a key that does not exist is no error.
	Delete(ctx context.Context, key string, opt DeleteOptions) error
	// DeleteMany removes up to Capabilities.DeleteMany keys in one request. The
	// returned slice has one entry per key, nil where it is gone; err is set when
	// the request as a whole failed.
	DeleteMany(ctx context.Context, keys []string) (perKey []error, err error)

	// Restore asks for a copy of an archived object (one that Open refuses with
	// ErrArchived) that can be read for some days. It does not wait for it: a repetition
	// is no error, before the object is there and after. ErrUnsupported: nothing is ever
	// archived here, or the store cannot bring it back.
	Restore(ctx context.Context, key string, days int) error
	// Tags returns an object's tags, an empty map when it has none.
	Tags(ctx context.Context, key string) (map[string]string, error)
	// SetTags replaces an object's tags.
	SetTags(ctx context.Context, key string, tags map[string]string) error

	// Probe says whether the bucket itself can be reached and listed: nil,
	// ErrBucketNotFound, ErrDenied, ErrCredentials, ErrUnavailable, …
	Probe(ctx context.Context) error

	// Capabilities says what the store can do. It may sharpen as answers come in,
	// so ask each time.
	Capabilities() Capabilities
	// Identity says where the bucket is.
	Identity() Identity
}

// ListOptions selects the keys (After, Until] that begin with Prefix.
type ListOptions struct {
	Prefix string
	After  string // exclusive; "" is the beginning
	Until  string // inclusive; "" is the end
	// PageSize bounds the objects of a page; 0 means the store's own (1,000 on S3).
	PageSize int
	// Unwanted says of a prefix that ends in a slash that nobody asks for its keys: a
	// directory that may not be read is then left out, and else ends the listing. May be nil.
	Unwanted func(prefix string) bool
}

// Page is a run of consecutive objects of a listing. It may be empty.
type Page struct {
	Objects []Object
	// Wait is how long the store took to answer; 0 when unknown.
	Wait time.Duration
	// At is the store's clock when it answered, cut to what the store shows of it; zero
	// when it does not say, or has no clock but this machine's.
	At time.Time
}

// Object is what a listing says of one object. Key and ETag may share memory
// with their whole page: clone what outlives it.
type Object struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // zero when the store does not say
	ETag    string    // without quotes; "" when the store has none
	Class   string    // storage class as the store names it; "" is the standard class
}

// Header holds the six content headers an object carries. Expires is kept as written.
type Header struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string
}

// Info is all a store says of one object.
type Info struct {
	Object
	Header   Header
	Meta     map[string]string // user metadata: lower-case names without the x-amz-meta- prefix, UTF-8 values
	TagCount int               // number of tags; -1 when the store does not say
	Version  string            // version id, "" when unversioned
	Parts    int               // parts the object was uploaded in; 0 when unknown or not in parts
	CRC64    Checksum          // the store's own checksum of the full object
	// OpaqueETag says that this object's ETag is no MD5 although the store's
	// usually are (server-side encryption with a managed key).
	OpaqueETag bool
	// Encryption is how the store says it keeps the object, e.g. EncryptKMS; "" when it
	// says nothing.
	Encryption string
}

// EncryptKMS is encryption by the store with a key of its key management service: the
// bucket's default key, else the service's. Other values are the store's own.
const EncryptKMS = "aws:kms"

// Checksum is a CRC64NVME value; Set tells a zero sum from none.
type Checksum struct {
	Sum uint64
	Set bool
}

// OpenOptions selects bytes of one state of an object.
type OpenOptions struct {
	IfMatch string // ETag the object must have, without quotes; else ErrPrecondition
	Offset  int64
	Length  int64 // bytes from Offset; 0 means to the end
	// Part reads one part (from 1) as the object was uploaded, where
	// Capabilities.PartLayout; Offset and Length must be zero.
	Part int
}

// Content is an open object.
type Content struct {
	Info               // Size is that of the whole object
	Body io.ReadCloser // delivers exactly Length bytes, then io.EOF
	// Length is the number of bytes Body delivers.
	Length int64
}

// PutOptions says what to store beside the bytes, and under which condition.
type PutOptions struct {
	Header   Header
	Meta     map[string]string
	Tags     map[string]string
	Class    string
	CRC64    Checksum // of the whole body, when known beforehand
	IfAbsent bool     // only when key does not exist, where the store can; else ErrPrecondition
	IfMatch  string   // only when the object has this ETag, where the store can
	// Multipart uploads: a CRC64 of the full object will be given at completion.
	WillCRC64 bool
	// Encrypt is how the store is to encrypt the object, EncryptKMS; "": as the bucket
	// says. A store that refuses it answers an error, mostly ErrEncryption, and stores
	// nothing. One that does not know it stores the object all the same:
	// Written.Encryption tells.
	Encrypt string
}

// PartOptions goes with one part.
type PartOptions struct {
	CRC64 Checksum // of the part's bytes, when known beforehand
}

// CompleteOptions goes with the completion of an upload.
type CompleteOptions struct {
	CRC64    Checksum // of the full object; only when announced by PutOptions.WillCRC64
	IfAbsent bool
	IfMatch  string
}

// DeleteOptions is a condition for a delete, ignored where the store has none.
type DeleteOptions struct {
	IfMatch string
}

// CopySource names an object, or a range of it, on the same service.
type CopySource struct {
	Bucket  string // as in Identity
	Key     string // the whole key, prefix included
	IfMatch string
	Offset  int64
	Length  int64 // 0 means the whole object; a range only in CopyPart
}

// Part is one stored part of an upload.
type Part struct {
	Number int
	Size   int64
	ETag   string
	CRC64  Checksum
}

// Written is what a store says of an object it has just stored.
type Written struct {
	ETag       string
	Version    string
	CRC64      Checksum // as the store computed or confirmed it
	OpaqueETag bool
	Encryption string // as Info.Encryption; some stores say it only when asked for the object
	// Dropped names what of the options the store did not keep: a header's name,
	// "meta:<name>", "tags", "storage-class".
	Dropped []string
}

// Identity says where a bucket is. Two buckets with equal Service can copy
// between each other without the client.
type Identity struct {
	Service string // "s3:<scheme>://<host>", "file", "mem:<id>"
	Bucket  string // bucket name, or the directory's resolved absolute path
	Prefix  string // set by Sub
}

// Local reports whether copies inside the service are made by this machine: their bytes
// pass through it, as those of any other copy do.
func (i Identity) Local() bool { return i.Service == "file" }
