package oms

import (
	"cmp"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// extension is what this dialect keeps beside a task: what a client said, to be told it
// again. The task itself holds what is done about it.
type extension struct {
	SrcCloudType string `json:"src_cloud_type,omitempty"`
	SrcRegion    string `json:"src_region,omitempty"`
	DstRegion    string `json:"dst_region,omitempty"`
	AppID        string `json:"app_id,omitempty"`

	// The endpoints that the regions named. When another dialect has moved the task, they
	// name it no more.
	SrcEndpoint task.EndpointID `json:"src_endpoint,omitempty"`
	DstEndpoint task.EndpointID `json:"dst_endpoint,omitempty"`
}

// overwriteModes are OMS's and how a task compares for each.
var overwriteModes = []struct{ oms, compare string }{
	{"SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE", "oms"},
	{"NO_OVERWRITE", "never"},
	{"CRC64_COMPARISON_OVERWRITE", "checksum"},
	{"FULL_OVERWRITE", "always"},
}

// kms is the encryption of a task that enable_kms asks for.
const kms = "aws:kms"

// storagePolicies are OMS's and the storage class of S3 for each.
var storagePolicies = []struct{ oms, class string }{
	{"STANDARD", ""},
	{"IA", "STANDARD_IA"},
	{"ARCHIVE", "GLACIER"},
	{"DEEP_ARCHIVE", "DEEP_ARCHIVE"},
	{"SRC_STORAGE_MAPPING", task.KeepClass},
}

// check checks what the body says by itself, and fills in what it left out.
func (n *newTask) check() (err error) {
	if err := checkTexts(
		text{"src_region", n.SrcRegion, n.SrcEndpoint == "", 100}, text{"src_bucket", n.SrcBucket, true, 1024},
		text{"src_ak", n.SrcAK, true, 100}, text{"src_sk", n.SrcSK, true, 100},
		text{"dst_region", n.DstRegion, n.DstEndpoint == "", 100}, text{"dst_bucket", n.DstBucket, true, 1024},
		text{"dst_ak", n.DstAK, true, 100}, text{"dst_sk", n.DstSK, true, 100},
		text{"description", n.Description, false, 255}, text{"app_id", n.AppID, false, 255},
		text{"src_endpoint", n.SrcEndpoint, false, 255}, text{"dst_endpoint", n.DstEndpoint, false, 255},
		text{"src_cloud_type", n.SrcCloudType, false, 64},
	); err != nil {
		return err
	}
	if n.SrcRegion == "" {
		n.SrcRegion = n.SrcEndpoint
	}
	if n.DstRegion == "" {
		n.DstRegion = n.DstEndpoint
	}
	if err := cmp.Or(checkBucket("src_bucket", n.SrcBucket), checkBucket("dst_bucket", n.DstBucket)); err != nil {
		return err
	}
	if strings.ContainsAny(n.Description, `<>()"'&`) {
		return invalid(codeDescription, "leave them out", `the description has one of < > ( ) " ' &`)
	}
	if err := n.crypto.check(); err != nil {
		return err
	}
	if err := n.SourceCDN.check(); err != nil {
		return err
	}
	if n.DstStoragePolicy, err = choice("dst_storage_policy", n.DstStoragePolicy, names(storagePolicies[:], func(i int) string { return storagePolicies[i].oms })...); err != nil {
		return err
	}
	if n.ConsistencyCheck, err = choice("consistency_check", n.ConsistencyCheck, string(task.VerifySizeTime), string(task.VerifyCRC64), string(task.VerifyTransmission)); err != nil {
		return err
	}
	n.ObjectOverwriteMode, err = choice("object_overwrite_mode", n.ObjectOverwriteMode, names(overwriteModes[:], func(i int) string { return overwriteModes[i].oms })...)
	return err
}

func names[T any](all []T, name func(int) string) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = name(i)
	}
	return out
}

// check: how the key pairs are encrypted. They are taken as they are.
func (c *crypto) check() error {
	for _, t := range []text{{name: "src_crypto_type", value: c.SrcCryptoType}, {name: "dst_crypto_type", value: c.DstCryptoType}} {
		if err := checkCrypto(t); err != nil {
			return err
		}
	}
	return checkTexts(text{"src_kms_key_id", c.SrcKMSKeyID, false, 36}, text{"dst_kms_key_id", c.DstKMSKeyID, false, 36})
}

func checkCrypto(t text) error {
	switch t.value {
	case "", "DEFAULT":
		return nil
	case "KMS":
		return invalid(codeConstraint, "use DEFAULT", "%s: keys encrypted with KMS cannot be read here", t.name)
	}
	return invalid(codeConstraint, "use DEFAULT", "%s has an unknown value", t.name)
}

func given(srcAK, srcSK, dstAK, dstSK string) *control.Given {
	return &control.Given{
		Source:      control.Credentials{AccessKey: srcAK, SecretKey: secret.New(srcSK)},
		Destination: control.Credentials{AccessKey: dstAK, SecretKey: secret.New(dstSK)},
	}
}

// options are the rules of the task.
func (n *newTask) options() task.Options {
	o := task.Options{GoneIsFailed: true, FallbackLiteralPlus: true, PlainContent: !n.EnableMetadataMigration}
	o.SourceCDN = n.SourceCDN.via().CDN
	o.Verify, o.Restore = task.Verify(n.ConsistencyCheck), n.EnableRestore
	if n.EnableKMS {
		o.Encrypt = kms
	}
	for _, m := range overwriteModes {
		if m.oms == n.ObjectOverwriteMode {
			o.Compare = m.compare
		}
	}
	for _, p := range storagePolicies {
		if p.oms == n.DstStoragePolicy {
			o.StorageClass = p.class
		}
	}
	return o
}

func (n *newTask) extension(src, dst task.Location) []byte {
	ext, err := json.Marshal(extension{
		SrcEndpoint: src.Endpoint, DstEndpoint: dst.Endpoint,
		SrcCloudType: n.SrcCloudType, SrcRegion: n.SrcRegion, DstRegion: n.DstRegion, AppID: n.AppID,
	})
	if err != nil {
		return nil // strings marshal
	}
	return ext
}

// state is a task's in OMS's words. A paused task accepts events, as a synchronizing
// one does.
func state(s task.State) string {
	if s == task.Stopped {
		return "STOPPED"
	}
	return "SYNCHRONIZING"
}

// taskOf is a task as clients get it. Tasks of other dialects have names of endpoints
// where OMS has regions.
func taskOf(k task.Task, all []alias) syncTask {
	var ext extension
	_ = json.Unmarshal(k.Ext[task.OMS], &ext) // what cannot be read is as if it were not there
	out := syncTask{
		ID: string(k.ID), SrcCloudType: ext.SrcCloudType, SrcRegion: ext.SrcRegion, SrcBucket: k.Source.Bucket,
		CreateTime: k.CreatedAt.UnixMilli(), DstBucket: k.Destination.Bucket, DstRegion: ext.DstRegion,
		Description: firstCharacters(k.Description, 255), Status: state(k.State),
		EnableMetadataMigration: !k.Options.PlainContent, EnableRestore: k.Options.Restore, EnableKMS: k.Options.Encrypt == kms,
	}
	if !k.StartedAt.IsZero() {
		out.LastStartTime = k.StartedAt.UnixMilli()
	}
	if ext.AppID != "" {
		out.AppID = &ext.AppID
	}
	if ext.SrcRegion == "" || ext.SrcEndpoint != "" && ext.SrcEndpoint != k.Source.Endpoint {
		out.SrcCloudType, out.SrcRegion = nameOf(k.Source.Endpoint, all)
	}
	if ext.DstRegion == "" || ext.DstEndpoint != "" && ext.DstEndpoint != k.Destination.Endpoint {
		_, out.DstRegion = nameOf(k.Destination.Endpoint, all)
	}
	// The task's own rules may have been changed since by another dialect.
	out.ObjectOverwriteMode = overwriteModes[0].oms
	for _, m := range overwriteModes {
		if m.compare == k.Options.Compare {
			out.ObjectOverwriteMode = m.oms
		}
	}
	out.DstStoragePolicy = storagePolicies[0].oms
	for _, p := range storagePolicies {
		if p.class == k.Options.StorageClass {
			out.DstStoragePolicy = p.oms
		}
	}
	// What answers call transmission, and what tasks of other dialects do by default.
	if out.ConsistencyCheck = "no_check"; k.Options.Verify == task.VerifySizeTime || k.Options.Verify == task.VerifyCRC64 {
		out.ConsistencyCheck = string(k.Options.Verify)
	}
	return out
}

// nameOf is an endpoint as clients may name it.
func nameOf(id task.EndpointID, all []alias) (cloud, region string) {
	for _, n := range all {
		if n.endpoint.ID == id {
			return n.cloud, n.region
		}
	}
	return "S3", string(id)
}

func firstCharacters(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
