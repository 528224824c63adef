package objstore

// Conditional is the kind of conditional write a store obeys.
type Conditional uint8

// Kinds of conditional writes.
const (
	ConditionalNone   Conditional = iota // conditions are not sent
	ConditionalAbsent                    // If-None-Match: * alone
	ConditionalFull                      // If-None-Match: * and If-Match: <etag>
)

// ETagTrust says what a store's ETags mean.
type ETagTrust uint8

// Kinds of ETag.
const (
	// ETagOpaque: changes whenever the content changes, means nothing elsewhere.
	ETagOpaque ETagTrust = iota
	// ETagMD5: 32 hex digits are the MD5 of the content; "<32 hex>-N" is the MD5 of
	// the N parts' MD5s, so it depends on how the object was cut.
	ETagMD5
)

// Capabilities is what a store can do. Zero limits mean "no limit known".
type Capabilities struct {
	Provider string // aws, obs, minio, ceph, generic, file, mem, …

	Conditional Conditional
	ETag        ETagTrust
	// ChecksumPut: a CRC64NVME given with Put or PutPart is validated by the store.
	ChecksumPut bool
	// ChecksumComplete: a CRC64NVME of the full object is validated at completion.
	ChecksumComplete bool

	MaxKey      int   // bytes of a key
	MaxPut      int64 // bytes of one Put
	MinPart     int64 // bytes of every part but the last
	MaxPart     int64 // bytes of one part
	MaxParts    int   // parts of an upload; 0: no multipart
	MaxCopy     int64 // bytes of one Copy; 0: no server-side copy
	MaxMeta     int   // bytes of user metadata, names and values together; 0: no limit known
	DeleteMany  int   // keys of one DeleteMany; 0: Delete only
	Tags        bool
	Meta        bool
	PartLayout  bool // OpenOptions.Part works
	NonUTF8Keys bool
}
