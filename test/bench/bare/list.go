package bare

import (
	"bytes"
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// pageSize is the most S3 puts on one page.
const pageSize = 1000

// Object is what a listing says of one object.
type Object struct {
	Key  string
	ETag string // without quotes
	Size int64  // bytes
}

// List yields a bucket's objects in key order, a page at a time. A page belongs
// to the receiver. An error ends the sequence.
func (c *Client) List(ctx context.Context, bucket string) iter.Seq2[[]Object, error] {
	return func(yield func([]Object, error) bool) {
		var buf bytes.Buffer
		token := ""
		for {
			next, err := c.page(ctx, bucket, token, &buf)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(scan(buf.Bytes(), make([]Object, 0, pageSize)), nil) || next == "" {
				return
			}
			token = next
		}
	}
}

// ListAll returns every object of a bucket in key order.
func (c *Client) ListAll(ctx context.Context, bucket string) ([]Object, error) {
	var all []Object
	for page, err := range c.List(ctx, bucket) {
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// page reads one ListObjectsV2 page into buf and returns the token of the next.
func (c *Client) page(ctx context.Context, bucket, token string, buf *bytes.Buffer) (next string, err error) {
	query := "list-type=2&max-keys=" + strconv.Itoa(pageSize)
	if token != "" {
		query = "continuation-token=" + escape(token, false) + "&" + query
	}
	resp, err := c.do(ctx, call{method: http.MethodGet, path: "/" + bucket, query: query})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	buf.Reset()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return "", err
	}
	if string(between(buf.Bytes(), "<IsTruncated>", "</IsTruncated>")) != "true" {
		return "", nil
	}
	return text(between(buf.Bytes(), "<NextContinuationToken>", "</NextContinuationToken>")), nil
}

// scan appends the objects of a page to out. It copies what it keeps.
func scan(page []byte, out []Object) []Object {
	for {
		_, rest, found := bytes.Cut(page, []byte("<Contents>"))
		entry, rest, closed := bytes.Cut(rest, []byte("</Contents>"))
		if !found || !closed {
			return out
		}
		page = rest
		size, _ := strconv.ParseInt(string(between(entry, "<Size>", "</Size>")), 10, 64)
		out = append(out, Object{
			Key:  text(between(entry, "<Key>", "</Key>")),
			ETag: unquote(between(entry, "<ETag>", "</ETag>")),
			Size: size,
		})
	}
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&#34;", `"`, "&#39;", "'", "&apos;", "'", "&amp;", "&")

// text undoes the entities that S3 servers write.
func text(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	return entities.Replace(string(b))
}

func unquote(b []byte) string { return strings.Trim(text(b), `"`) }
