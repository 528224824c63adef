package s3

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
	tib = 1 << 40
)

// generic is the row for stores nobody named: what every store of the last
// decade has, and nothing whose absence would fail a request.
const generic = "generic"

// traits is a row of the capability table: what the contract asks for and what
// only this driver needs to know. Rows are never changed, only replaced.
type traits struct {
	objstore.Capabilities

	listV1               bool   // ListObjects with markers; else ListObjectsV2
	urlEncoding          bool   // encoding-type=url is understood
	condCopy, condDelete bool   // conditions are judged there too
	noDeleteMany         bool   // DeleteObjects was refused
	checksumPart         bool   // a part's CRC64NVME is validated
	tagsOnPut            bool   // x-amz-tagging; else a request of its own
	rfc2047              bool   // user metadata is ASCII on the wire, encoded words inside
	pathKeys             bool   // keys are kept as paths of files (key.go)
	onlyUTF8             bool   // other keys cannot even be asked for
	expiresDate          bool   // Expires is kept only when it is a date
	copyNoExpires        bool   // a copy that keeps the source's attributes loses Expires
	restoreTier          string // named when an archived object is asked back; "" leaves it to the store
	reserved             string // prefix of keys the store keeps for itself
	storesTorn           bool   // what arrived of a broken upload is stored (framed.go)
	hosts                []string
	servers              []string // how the Server header begins
}

// table is what is known of the stores. Sources: the S3 API reference ("Multipart
// upload limits", "Checking object integrity", "Conditional requests", "Object
// metadata"), the OBS API reference ("Listing objects in a bucket", "Uploading
// part"), MinIO's "S3 API compatibility" and "Thresholds", Ceph's "Object gateway
// S3 API"; for MinIO and versitygw also what the conformance suite found them to
// do. A store that has learned more since is told so with Override.
var table = map[string]traits{
	"aws": {
		Capabilities: objstore.Capabilities{
			Conditional: objstore.ConditionalFull,
			ETag:        objstore.ETagMD5,
			ChecksumPut: true, ChecksumComplete: true,
			MaxKey: 1024, MaxPut: 5 * gib, MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 2 * kib, DeleteMany: 1000,
			Tags: true, Meta: true, PartLayout: true,
		},
		urlEncoding: true, condCopy: true, condDelete: true,
		checksumPart: true, tagsOnPut: true, rfc2047: true, onlyUTF8: true,
		hosts: []string{".amazonaws.com", ".amazonaws.com.cn"}, servers: []string{"AmazonS3"},
	},
	"obs": {
		Capabilities: objstore.Capabilities{
			ETag:   objstore.ETagMD5,
			MaxKey: 1024, MaxPut: 5 * gib, MinPart: 100 * kib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 2 * kib, DeleteMany: 1000, Meta: true,
		},
		listV1: true, onlyUTF8: true,
		hosts: []string{".myhuaweicloud.com", ".myhuaweicloud.eu"}, servers: []string{"OBS"},
	},
	"minio": {
		Capabilities: objstore.Capabilities{
			Conditional: objstore.ConditionalFull,
			ETag:        objstore.ETagMD5,
			ChecksumPut: true,
			MaxKey:      1024, MaxPut: 5 * gib, MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 1800, DeleteMany: 1000, // its 2 KiB count the names' prefixes
			Tags: true, Meta: true, PartLayout: true,
		},
		urlEncoding: true, checksumPart: true, tagsOnPut: true, pathKeys: true, onlyUTF8: true,
		expiresDate: true, copyNoExpires: true,
		servers: []string{"MinIO"},
	},
	"ceph": {
		Capabilities: objstore.Capabilities{
			ETag:   objstore.ETagMD5,
			MaxKey: 1024, MaxPut: 5 * gib, MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 2 * kib, DeleteMany: 1000,
			Tags: true, Meta: true, PartLayout: true,
		},
		urlEncoding: true, tagsOnPut: true, onlyUTF8: true,
		servers: []string{"Ceph Object Gateway"},
	},
	"versitygw": {
		Capabilities: objstore.Capabilities{
			Conditional: objstore.ConditionalFull, ETag: objstore.ETagMD5,
			ChecksumPut: true, ChecksumComplete: true,
			MaxKey: 1024, MaxPut: 5 * gib, MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 2 * kib, DeleteMany: 1000,
			Tags: true, Meta: true, PartLayout: true,
		},
		checksumPart: true, tagsOnPut: true, pathKeys: true, onlyUTF8: true, reserved: ".sgwtmp/", storesTorn: true,
		servers: []string{"VERSITYGW"},
	},
	generic: {
		Capabilities: objstore.Capabilities{
			ETag:   objstore.ETagMD5,
			MaxKey: 1024, MaxPut: 5 * gib, MinPart: 5 * mib, MaxPart: 5 * gib, MaxParts: 10_000,
			MaxCopy: 5 * gib, MaxMeta: 2 * kib, DeleteMany: 1000,
			Tags: true, Meta: true, PartLayout: true,
		},
		urlEncoding: true,
	},
}

// Providers returns the names of the table's rows.
func Providers() []string { return slices.Sorted(maps.Keys(table)) }

// traitsOf returns the row of a provider, or of the host when none is named, with
// the overrides applied.
func traitsOf(provider, host string, override []string) (*traits, error) {
	if provider == "" {
		provider = guess(host)
	}
	t, ok := table[provider]
	if !ok {
		return nil, fmt.Errorf("s3: unknown provider %q, one of %s", provider, strings.Join(Providers(), ", "))
	}
	t.Provider = provider
	for _, o := range override {
		if err := t.override(o); err != nil {
			return nil, err
		}
	}
	return &t, nil
}

// guess finds the provider by the endpoint's host; "" is AWS by region.
func guess(host string) string {
	if host == "" {
		return "aws"
	}
	for name, t := range table {
		for _, suffix := range t.hosts {
			if strings.HasSuffix(host, suffix) {
				return name
			}
		}
	}
	return generic
}

// guessServer finds the provider by what the store calls itself, "" when unknown.
func guessServer(server string) string {
	for name, t := range table {
		for _, prefix := range t.servers {
			if strings.HasPrefix(server, prefix) {
				return name
			}
		}
	}
	return ""
}
