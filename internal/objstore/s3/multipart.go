package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// CreateMultipart implements objstore.Bucket.
//
// The checksum of the full object is announced wherever the store validates one,
// as parts may only carry checksums of an announced kind. Announced and not given
// is no error.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, opt objstore.PutOptions) (string, error) {
	t := b.traits.Load()
	if err := t.checkKey("create", key); err != nil {
		return "", err
	}
	r := newRequest("create", http.MethodPost, key)
	r.query, r.once = "uploads=", true
	rest := unkept{dropped: r.describe(t, &opt), tags: opt.Tags}
	rest.tagLater = r.tag(t, opt.Tags)
	r.encrypt(opt.Encrypt)
	if t.ChecksumComplete {
		r.setFor(checksums, "x-amz-checksum-algorithm", "CRC64NVME")
		r.setFor(checksums, "x-amz-checksum-type", "FULL_OBJECT")
	}
	var doc struct {
		UploadID string `xml:"UploadId"`
	}
	if _, err := b.document(ctx, r, &doc); err != nil {
		return "", err
	}
	if doc.UploadID == "" {
		return "", &objstore.Error{Kind: objstore.ErrUnavailable, Op: r.op, Key: key, Message: "answer names no upload"}
	}
	rest.lost = r.dropped
	if len(rest.dropped) > 0 || len(rest.tags) > 0 || rest.lost != 0 {
		b.unkept.Store(doc.UploadID, rest)
	}
	return doc.UploadID, nil
}

// unkept is what of an upload's options the store did not take at its creation,
// kept for its completion. An upload resumed by another process has none.
type unkept struct {
	dropped  []string
	lost     feature
	tags     map[string]string
	tagLater bool
}

// partQuery addresses a part of an upload.
func partQuery(uploadID string, number int) string {
	q := make([]byte, 0, 64+len(uploadID))
	q = strconv.AppendInt(append(q, "partNumber="...), int64(number), 10)
	return string(appendQuery(append(q, "&uploadId="...), uploadID))
}

// PutPart implements objstore.Bucket.
func (b *Bucket) PutPart(ctx context.Context, key, uploadID string, number int, body io.Reader, size int64, opt objstore.PartOptions) (objstore.Part, error) {
	t := b.traits.Load()
	r := newRequest("put-part", http.MethodPut, key)
	switch {
	case key == "" || uploadID == "":
		return objstore.Part{}, uploadGone(r)
	case t.MaxPart > 0 && size > t.MaxPart:
		return objstore.Part{}, &objstore.Error{Kind: objstore.ErrTooLarge, Op: r.op, Key: key}
	case number < 1 || t.MaxParts > 0 && number > t.MaxParts:
		return objstore.Part{}, &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: key, Message: "part number " + strconv.Itoa(number)}
	}
	r.query = partQuery(uploadID, number)
	if opt.CRC64.Set && t.checksumPart {
		r.setFor(checksums, "x-amz-checksum-crc64nvme", encodeCRC64(opt.CRC64.Sum))
	}
	if err := r.setBody(body, size); err != nil {
		return objstore.Part{}, r.bodyError(err)
	}
	b.guard(r, t, opt.CRC64)
	h, err := b.do(ctx, r)
	if err != nil {
		return objstore.Part{}, err
	}
	return objstore.Part{
		Number: number, Size: size, ETag: unquote(first(h, "Etag")), CRC64: decodeCRC64(first(h, "X-Amz-Checksum-Crc64nvme")),
	}, nil
}

// uploadGone is the error for an upload that cannot exist.
func uploadGone(r *request) error {
	return &objstore.Error{Kind: objstore.ErrNotFound, Op: r.op, Key: r.key, Code: "NoSuchUpload", Message: "no such upload"}
}

// ListParts implements objstore.Bucket.
func (b *Bucket) ListParts(ctx context.Context, key, uploadID string) ([]objstore.Part, error) {
	var parts []objstore.Part
	for after, more := 0, true; more; {
		r := newRequest("list-parts", http.MethodGet, key)
		if key == "" || uploadID == "" {
			return nil, uploadGone(r)
		}
		if after > 0 {
			r.query = "part-number-marker=" + strconv.Itoa(after) + "&"
		}
		r.query += "uploadId=" + queryEscape(uploadID)
		var doc struct {
			IsTruncated          bool
			NextPartNumberMarker int
			Part                 []struct {
				PartNumber        int
				Size              int64
				ETag              string
				ChecksumCRC64NVME string
			}
		}
		if _, err := b.document(ctx, r, &doc); err != nil {
			return nil, err
		}
		begin := after
		for _, p := range doc.Part {
			if p.PartNumber <= after {
				return nil, &objstore.Error{Kind: objstore.ErrUnsorted, Op: r.op, Key: key}
			}
			after = p.PartNumber
			parts = append(parts, objstore.Part{
				Number: p.PartNumber, Size: p.Size, ETag: unquote(p.ETag), CRC64: decodeCRC64(p.ChecksumCRC64NVME),
			})
		}
		more = doc.IsTruncated && after > begin
	}
	return parts, nil
}

// completedPart is one line of the document that makes an object of parts.
type completedPart struct {
	PartNumber        int
	ETag              string
	ChecksumCRC64NVME string `xml:",omitempty"`
}

// CompleteMultipart implements objstore.Bucket.
func (b *Bucket) CompleteMultipart(ctx context.Context, key, uploadID string, parts []objstore.Part, opt objstore.CompleteOptions) (objstore.Written, error) {
	t := b.traits.Load()
	r := newRequest("complete", http.MethodPost, key)
	switch {
	case key == "" || uploadID == "":
		return objstore.Written{}, uploadGone(r)
	case len(parts) == 0:
		return objstore.Written{}, &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: key, Message: "no parts"}
	}
	r.query, r.slow, r.once = "uploadId="+queryEscape(uploadID), true, true
	r.condition(t.Conditional, opt.IfAbsent, opt.IfMatch)
	if opt.CRC64.Set && t.ChecksumComplete {
		r.setFor(checksums, "x-amz-checksum-crc64nvme", encodeCRC64(opt.CRC64.Sum))
		r.setFor(checksums, "x-amz-checksum-type", "FULL_OBJECT")
	}
	var doc struct {
		XMLName struct{}        `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUpload"`
		Part    []completedPart `xml:"Part"`
	}
	for _, p := range parts {
		line := completedPart{PartNumber: p.Number, ETag: quote(p.ETag)}
		if p.CRC64.Set && t.checksumPart {
			line.ChecksumCRC64NVME = encodeCRC64(p.CRC64.Sum)
		}
		doc.Part = append(doc.Part, line)
	}
	if err := r.setXML(&doc); err != nil {
		return objstore.Written{}, err
	}
	var answer struct {
		ETag              string
		ChecksumCRC64NVME string
		ChecksumType      string
	}
	h, err := b.document(ctx, r, &answer)
	if err != nil {
		return objstore.Written{}, err
	}
	w := written(h)
	w.ETag = unquote(answer.ETag)
	if answer.ChecksumType != "COMPOSITE" && !w.CRC64.Set {
		w.CRC64 = decodeCRC64(answer.ChecksumCRC64NVME)
	}
	if v, ok := b.unkept.LoadAndDelete(uploadID); ok {
		rest := v.(unkept)
		r.dropped |= rest.lost
		w.Dropped, err = b.afterWrite(ctx, r, rest.tagLater, rest.tags, rest.dropped)
	}
	return w, err
}

// AbortMultipart implements objstore.Bucket.
func (b *Bucket) AbortMultipart(ctx context.Context, key, uploadID string) error {
	if key == "" || uploadID == "" {
		return nil
	}
	b.unkept.Delete(uploadID)
	r := newRequest("abort", http.MethodDelete, key)
	r.query = "uploadId=" + queryEscape(uploadID)
	_, err := b.do(ctx, r)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	return err
}
