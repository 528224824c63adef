package s3

import "encoding/xml"

// xmlPage is a page for encoding/xml. All of it is text, so that one place
// (page.go) gives it its meaning, whoever read it.
type xmlPage struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           string
	NextMarker            string
	NextContinuationToken string
	EncodingType          string
	Contents              []struct {
		Key          string
		LastModified string
		ETag         string
		Size         string
		StorageClass string
	}
}

// decode reads a page with encoding/xml, for what the scanner does not understand.
func (t *pageText) decode() error {
	var x xmlPage
	if err := xml.Unmarshal(t.buf, &x); err != nil {
		return err
	}
	// The texts become a new buffer of their own; the raw page is not needed any more.
	var buf []byte
	keep := func(s string) span {
		from := len(buf)
		buf = append(buf, s...)
		return span{from: int32(from), to: int32(len(buf))}
	}
	t.reset(nil)
	t.truncated, t.marker = keep(x.IsTruncated), keep(x.NextMarker)
	t.token, t.encoding = keep(x.NextContinuationToken), keep(x.EncodingType)
	for _, c := range x.Contents {
		t.entries = append(t.entries, entry{
			key: keep(c.Key), modified: keep(c.LastModified), etag: keep(c.ETag), size: keep(c.Size), class: keep(c.StorageClass),
		})
	}
	t.buf = buf
	return nil
}
