package s3fault

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// listBuckets answers ListBuckets, in one page as stores of before 2024 do.
func (s *Server) listBuckets(w http.ResponseWriter) {
	type entry struct{ Name, CreationDate string }
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   struct{ ID string }
		Buckets []entry `xml:"Buckets>Bucket"`
	}
	doc.Owner.ID = "1"
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		doc.Buckets = append(doc.Buckets, entry{name, "2026-01-02T03:04:05.000Z"})
	}
	w.Header().Set("Content-Type", "application/xml")
	writeXML(w, &doc)
}

// list answers ListObjects and ListObjectsV2. Pages are written by hand: the
// options want things that encoding/xml would not write.
func (s *Server) list(w http.ResponseWriter, a *ask, b *bucket) *refusal {
	q := a.query
	v2 := q.Get("list-type") == "2" && !s.opt.V1Only
	limit := s.opt.PageSize
	if v := q.Get("max-keys"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return &refusal{status: http.StatusBadRequest, code: "InvalidArgument"}
		}
		limit = min(limit, n)
	}
	after := q.Get("marker")
	if v2 {
		after = ""
		if !s.opt.NoStartAfter {
			after = q.Get("start-after")
		}
		if token := q.Get("continuation-token"); token != "" {
			raw, err := base64.StdEncoding.DecodeString(token)
			if err != nil {
				return &refusal{status: http.StatusBadRequest, code: "InvalidArgument"}
			}
			after = string(raw)
		}
	}
	keys, more := b.page(q.Get("prefix"), after, limit)
	p := pageWriter{encode: q.Get("encoding-type") == "url" && !s.opt.NoEncoding, decorated: s.opt.Decorated}
	p.open(a.bucket, q.Get("prefix"), limit, more)
	if more && v2 {
		p.element("NextContinuationToken", base64.StdEncoding.EncodeToString([]byte(keys[len(keys)-1])))
	} else if more && !s.opt.NoNextMarker {
		p.element("NextMarker", p.name(keys[len(keys)-1]))
	}
	if s.opt.Unsorted {
		keys = slices.Clone(keys)
		slices.Reverse(keys)
	}
	for _, key := range keys {
		p.object(key, b.objects[key])
	}
	p.WriteString("</ListBucketResult>")
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(p.Bytes())
	return nil
}

// page returns up to limit keys behind after, and whether there are more.
func (b *bucket) page(prefix, after string, limit int) (keys []string, more bool) {
	if b.sorted == nil {
		b.sorted = slices.Sorted(maps.Keys(b.objects))
	}
	i, _ := slices.BinarySearch(b.sorted, max(prefix, after))
	if i < len(b.sorted) && b.sorted[i] == after {
		i++
	}
	end := i
	for end < len(b.sorted) && strings.HasPrefix(b.sorted[end], prefix) {
		if end-i == limit {
			return b.sorted[i:end], limit > 0
		}
		end++
	}
	return b.sorted[i:end], false
}

type pageWriter struct {
	bytes.Buffer
	encode, decorated bool
}

func (p *pageWriter) open(name, prefix string, limit int, more bool) {
	p.WriteString(xml.Header + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	if p.decorated {
		p.WriteString("<!-- a page --><Odd a='>'><Contents><Key>no key</Key></Contents></Odd>")
	}
	p.element("Name", text(name))
	p.element("Prefix", p.name(prefix))
	p.element("MaxKeys", strconv.Itoa(limit))
	if p.encode {
		p.element("EncodingType", "url")
	}
	p.element("IsTruncated", strconv.FormatBool(more))
}

func (p *pageWriter) element(name, value string) {
	p.WriteString("<" + name + ">" + value + "</" + name + ">")
}

// name is a key as it stands in a page.
func (p *pageWriter) name(key string) string {
	if p.encode {
		return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
	}
	return text(key)
}

// text escapes for XML as stores do: what XML cannot hold becomes a reference
// that a strict reader refuses, or goes out as it is.
func text(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '<':
			b.WriteString("&lt;")
		case c == '>':
			b.WriteString("&gt;")
		case c == '&':
			b.WriteString("&amp;")
		case c == '"':
			b.WriteString("&quot;")
		case c == '\'':
			b.WriteString("&#39;")
		case c < ' ':
			fmt.Fprintf(&b, "&#x%X;", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (p *pageWriter) object(key string, o *object) {
	p.WriteString("<Contents>")
	if p.decorated {
		p.WriteString("<Owner><ID>1</ID><DisplayName>me</DisplayName></Owner>\n")
		p.element("Size", strconv.Itoa(len(o.data)))
	}
	p.element("Key", p.name(key))
	p.element("LastModified", o.mtime.Format("2006-01-02T15:04:05.000Z"))
	p.element("ETag", "&quot;"+o.etag+"&quot;")
	if !p.decorated {
		p.element("Size", strconv.Itoa(len(o.data)))
	}
	if o.class == "" {
		p.element("StorageClass", "STANDARD")
	} else {
		p.element("StorageClass", text(o.class))
	}
	p.WriteString("</Contents>")
}
