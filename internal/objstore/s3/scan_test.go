package s3

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// parseWith reads a page with the scanner or with encoding/xml alone.
func parseWith(page string, scan bool) (listing, bool, error) {
	var p pageReader
	p.raw = []byte(page)
	p.text.reset(p.raw)
	if scan {
		if !p.text.scan() {
			return listing{}, false, nil
		}
	} else if err := p.text.decode(); err != nil {
		return listing{}, true, err
	}
	l, err := p.listing()
	return l, true, err
}

var compareListings = cmp.AllowUnexported(listing{})

// FuzzScan holds the scanner to encoding/xml: what it understands of a page that
// encoding/xml accepts must be the same.
func FuzzScan(f *testing.F) {
	for _, page := range pages {
		f.Add(page)
	}
	f.Fuzz(func(t *testing.T, page string) {
		got, understood, gotErr := parseWith(page, true)
		want, _, wantErr := parseWith(page, false)
		if !understood || wantErr != nil {
			return
		}
		if gotErr != nil {
			// parse falls back on encoding/xml then.
			return
		}
		if diff := cmp.Diff(want, got, compareListings); diff != "" {
			t.Errorf("page %q (-encoding/xml +scanner):\n%s", page, diff)
		}
	})
}

const contents = `<Contents><Key>%s</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`

func pageOf(entries ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>to+ken==</NextContinuationToken>` +
		strings.Join(entries, "") + `</ListBucketResult>`
}

// pages are the seeds, and what the scanner must understand itself unless marked.
var pages = []string{
	pageOf(),
	pageOf(fmt.Sprintf(contents, "a", 1), fmt.Sprintf(contents, "b/c", 22)),
	pageOf(fmt.Sprintf(contents, "&lt;&amp;&gt;&quot;&apos;&#65;&#x1F600;", 0)),
	strings.Replace(pageOf(fmt.Sprintf(contents, "a%2Bb+c%2F%25", 3)), "<Name>", "<EncodingType>url</EncodingType><Name>", 1),
	strings.Replace(pageOf(fmt.Sprintf(contents, "a%2Bb+c", 3)), "</ListBucketResult>", "<EncodingType> url\n</EncodingType></ListBucketResult>", 1),
	"<s3:ListBucketResult xmlns:s3='x'>\n\t<s3:Contents a=\">'/>\">\n<s3:Size> 12 </s3:Size ><s3:Key\n>k</s3:Key><Owner><ID>1</ID><Key>no</Key></Owner><ETag>\"e-2\"</ETag><Empty/></s3:Contents><s3:IsTruncated>\n0 </s3:IsTruncated></s3:ListBucketResult>",
	"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes><IsTruncated>1</IsTruncated><NextMarker>m&amp;m</NextMarker></ListBucketResult>trailing",
	"<ListBucketResult><Contents><Key>a</Key><Key/><Key>b</Key><Size>1</Size><LastModified>2026-01-02T03:04:05+01:00</LastModified></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
}

// odd are pages for encoding/xml.
var odd = []string{
	"<ListBucketResult><!-- c --><Contents><Key>a</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult><Contents><Key><![CDATA[a<b]]></Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<!DOCTYPE x><ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult>\r\n<Contents><Key>a\r\nb</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult>text<Contents><Key>a<b/>c</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
	"<ListBucketResult><Contents><Ke\u00ffy>x</Ke\u00ffy><Key>a</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
}

func TestScanUnderstandsWhatStoresWrite(t *testing.T) {
	t.Parallel()
	for _, page := range pages {
		got, understood, err := parseWith(page, true)
		if !understood || err != nil {
			t.Errorf("scanner gives up on %q: %v", page, err)
			continue
		}
		want, _, err := parseWith(page, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compareListings); diff != "" {
			t.Errorf("page %q (-encoding/xml +scanner):\n%s", page, diff)
		}
	}
}

func TestOddPagesFallBack(t *testing.T) {
	t.Parallel()
	for _, page := range odd {
		if _, understood, _ := parseWith(page, true); understood {
			t.Errorf("scanner claims to understand %q", page)
		}
		p := pageReader{raw: []byte(page)}
		l, err := p.parse()
		if err != nil || len(l.objects) != 1 || l.objects[0].Size != 1 {
			t.Errorf("parse of %q = %+v, %v", page, l, err)
		}
	}
}

func TestBadPages(t *testing.T) {
	t.Parallel()
	whole := pageOf(fmt.Sprintf(contents, "a", 1))
	bad := []string{
		"", "<html><body>gateway</body></html>", whole[:len(whole)/2], whole[:len(whole)-1],
		strings.Replace(whole, "<Size>1<", "<Size>x<", 1), strings.Replace(whole, "<Size>1</Size>", "", 1),
		strings.Replace(whole, "<Key>a<", "<Key><", 1), strings.Replace(whole, "<Key>a<", "<Key>&nope;<", 1),
		strings.Replace(whole, "</Contents>", "</Content>", 1), "<ListBucketResult/>", strings.Replace(whole, "true", "perhaps", 1), strings.Replace(whole, "<Size>1<", "<Size>-1<", 1),
		strings.Replace(strings.Replace(whole, "<Key>a<", "<Key>%zz<", 1), "<Name>", "<EncodingType>url</EncodingType><Name>", 1),
	}
	for _, page := range bad {
		p := pageReader{raw: []byte(page)}
		if l, err := p.parse(); err == nil {
			t.Errorf("page %q is read as %+v", page, l)
		}
	}
}

func TestPageValues(t *testing.T) {
	t.Parallel()
	page := strings.Replace(pageOf(fmt.Sprintf(contents, "a%2Bb+c%2F%FF", 42), strings.Replace(fmt.Sprintf(contents, "z", 1), "STANDARD", "GLACIER", 1)),
		"<Name>", "<EncodingType>url</EncodingType><Name>", 1)
	p := pageReader{raw: []byte(page)}
	got, err := p.parse()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	want := listing{
		truncated: true, token: "to+ken==",
		objects: []objstore.Object{
			{Key: "a+b c/\xff", Size: 42, ModTime: at, ETag: "d41d8cd98f00b204e9800998ecf8427e"},
			{Key: "z", Size: 1, ModTime: at, ETag: "d41d8cd98f00b204e9800998ecf8427e", Class: "GLACIER"},
		},
	}
	if diff := cmp.Diff(want, got, compareListings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkScan(b *testing.B) {
	var entries []string
	for i := range 1000 {
		entries = append(entries, fmt.Sprintf(contents, fmt.Sprintf("p%02d/obj-%06d.bin", i%100, i), i))
	}
	page := []byte(pageOf(entries...))
	var p pageReader
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		p.raw = page
		if l, err := p.parse(); err != nil || len(l.objects) != 1000 {
			b.Fatal(err)
		}
	}
}
