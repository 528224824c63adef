package memserver

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// maxKeys is the most S3 puts on one page.
const maxKeys = 1000

// listing is one request of ListObjects or ListObjectsV2, and its page.
type listing struct {
	prefix, delimiter string
	after             string // exclusive
	limit             int
	v2, urlNames      bool

	contents, prefixes bytes.Buffer
	count              int
	last               string // key or common prefix written last
	truncated          bool
}

func newListing(query url.Values) *listing {
	l := &listing{
		prefix:    query.Get("prefix"),
		delimiter: query.Get("delimiter"),
		limit:     maxKeys,
		v2:        query.Get("list-type") == "2",
		urlNames:  query.Get("encoding-type") == "url",
	}
	if n, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		l.limit = min(n, maxKeys)
	}
	l.after = query.Get("marker")
	if l.v2 {
		l.after = query.Get("start-after")
		if token := query.Get("continuation-token"); token != "" {
			raw, _ := base64.StdEncoding.DecodeString(token)
			l.after = string(raw)
		}
	}
	return l
}

func (s *Server) list(w http.ResponseWriter, name string, query url.Values) {
	l := newListing(query)
	keys := s.sortedKeys(name)
	s.mu.RLock()
	if b := s.buckets[name]; b != nil {
		l.fill(keys, b.objects)
	}
	s.mu.RUnlock()
	writeXML(w, l.page(name))
}

// sortedKeys returns a bucket's keys in order; the slice must not be changed.
func (s *Server) sortedKeys(name string) []string {
	s.mu.RLock()
	b := s.buckets[name]
	if b == nil || b.keys != nil {
		defer s.mu.RUnlock()
		if b == nil {
			return nil
		}
		return b.keys
	}
	s.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.keys == nil {
		b.keys = slices.AppendSeq(make([]string, 0, len(b.objects)), maps.Keys(b.objects))
		slices.Sort(b.keys)
	}
	return b.keys
}

// fill writes the entries of the page.
func (l *listing) fill(keys []string, objects map[string]*object) {
	i := sort.SearchStrings(keys, max(l.prefix, l.after))
	for i < len(keys) && l.passed(keys[i]) {
		i++
	}
	for i < len(keys) && strings.HasPrefix(keys[i], l.prefix) {
		o := objects[keys[i]]
		if o == nil { // deleted since the keys were sorted
			i++
			continue
		}
		if l.count == l.limit {
			l.truncated = l.limit > 0
			return
		}
		l.count++
		if common, ok := l.common(keys[i]); ok {
			l.addPrefix(common)
			i += sort.Search(len(keys)-i, func(n int) bool { return !strings.HasPrefix(keys[i+n], common) })
			continue
		}
		l.addObject(keys[i], o)
		i++
	}
}

// passed says whether an earlier page has shown key, alone or in a common prefix.
func (l *listing) passed(key string) bool {
	if l.after == "" {
		return false
	}
	return key <= l.after ||
		l.delimiter != "" && strings.HasSuffix(l.after, l.delimiter) && strings.HasPrefix(key, l.after)
}

func (l *listing) common(key string) (string, bool) {
	if l.delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(l.prefix):], l.delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.prefix)+i+len(l.delimiter)], true
}

func (l *listing) addPrefix(common string) {
	l.prefixes.WriteString("<CommonPrefixes><Prefix>" + l.name(common) + "</Prefix></CommonPrefixes>")
	l.last = common
}

func (l *listing) addObject(key string, o *object) {
	b := &l.contents
	b.WriteString("<Contents><Key>")
	b.WriteString(l.name(key))
	b.WriteString("</Key><LastModified>")
	b.Write(o.mtime.AppendFormat(b.AvailableBuffer(), timeFormat))
	b.WriteString("</LastModified><ETag>&quot;")
	b.WriteString(o.etag)
	b.WriteString("&quot;</ETag><Size>")
	b.Write(strconv.AppendInt(b.AvailableBuffer(), o.size, 10))
	b.WriteString("</Size><StorageClass>STANDARD</StorageClass></Contents>")
	l.last = key
}

func (l *listing) name(key string) string {
	if l.urlNames {
		return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
	}
	return escapeText(key)
}

func (l *listing) page(bucket string) []byte {
	var b bytes.Buffer
	b.Grow(l.contents.Len() + l.prefixes.Len() + 1<<10)
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%s</Name><Prefix>%s</Prefix><MaxKeys>%d</MaxKeys>`,
		bucket, l.name(l.prefix), l.limit)
	if l.delimiter != "" {
		fmt.Fprintf(&b, "<Delimiter>%s</Delimiter>", l.name(l.delimiter))
	}
	if l.urlNames {
		b.WriteString("<EncodingType>url</EncodingType>")
	}
	fmt.Fprintf(&b, "<IsTruncated>%t</IsTruncated>", l.truncated)
	if l.v2 {
		fmt.Fprintf(&b, "<KeyCount>%d</KeyCount>", l.count)
	}
	switch {
	case l.truncated && l.v2:
		fmt.Fprintf(&b, "<NextContinuationToken>%s</NextContinuationToken>", base64.StdEncoding.EncodeToString([]byte(l.last)))
	case l.truncated:
		fmt.Fprintf(&b, "<NextMarker>%s</NextMarker>", l.name(l.last))
	}
	b.Write(l.contents.Bytes())
	b.Write(l.prefixes.Bytes())
	b.WriteString("</ListBucketResult>")
	return b.Bytes()
}

func (s *Server) listBuckets(w http.ResponseWriter) {
	s.mu.RLock()
	names := slices.Sorted(maps.Keys(s.buckets))
	s.mu.RUnlock()
	var b bytes.Buffer
	b.WriteString("<ListAllMyBucketsResult><Owner><ID>bench</ID></Owner><Buckets>")
	for _, name := range names {
		fmt.Fprintf(&b, "<Bucket><Name>%s</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>", name)
	}
	b.WriteString("</Buckets></ListAllMyBucketsResult>")
	writeXML(w, b.Bytes())
}
