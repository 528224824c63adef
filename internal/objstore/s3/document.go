package s3

import (
	"bytes"
	"context"
	"crypto/md5" // ETags and Content-MD5 are MD5s
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// maxDocument bounds an answer that is a document: a thousand parts or keys.
const maxDocument = 16 * mib

// document sends a request and reads the document it is answered with into v. A
// store may announce success and then fail ("CompleteMultipartUpload", "CopyObject"
// in the S3 API reference): an Error document is a refusal whatever the status.
func (b *Bucket) document(ctx context.Context, r *request, v any) (http.Header, error) {
	resp, err := b.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, r.failed(err)
	}
	r.release()
	if isError(body) {
		ref := parseRefusal(body)
		ref.status, ref.header = resp.StatusCode, resp.Header
		return nil, b.refused(r, &ref)
	}
	if v == nil {
		return resp.Header, nil
	}
	if err := xml.Unmarshal(body, v); err != nil {
		return nil, &objstore.Error{
			Kind: objstore.ErrUnavailable, Op: r.op, Key: r.key, Status: resp.StatusCode, Message: "answer cannot be read", Err: err,
		}
	}
	return resp.Header, nil
}

// isError reports whether the root of a document is Error.
func isError(body []byte) bool {
	if !bytes.Contains(body, []byte("Error")) {
		return false
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local == "Error"
		}
	}
}

// setXML gives the request a document, with the digest that some requests demand.
func (r *request) setXML(v any) error {
	doc, err := xml.Marshal(v)
	if err != nil {
		return &objstore.Error{Kind: objstore.ErrInvalid, Op: r.op, Key: r.key, Err: err}
	}
	sum := md5.Sum(doc)
	r.set("content-md5", base64.StdEncoding.EncodeToString(sum[:]))
	r.set("content-type", "application/xml")
	r.setDocument(doc)
	return nil
}
