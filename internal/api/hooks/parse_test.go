package hooks

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// recorded returns the bodies of a file: those of minio and versitygw were recorded by the
// end-to-end tests, the others follow the documents of AWS and Ceph.
func recorded(t testing.TB, name string) (bodies [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		bodies = append(bodies, slices.Clone(lines.Bytes()))
	}
	return bodies
}

func TestRecorded(t *testing.T) {
	t.Parallel()
	odd := []string{"in/plain.txt", "in/a b.txt", "in/a+b.txt", "in/100%41.txt", "in/dir/ü&=?#.txt", "in/%zz", "in/q\"uote"}
	for name, want := range map[string]struct {
		keys         []string // each is named at least once
		tests, reads int
	}{
		"versitygw":   {odd, 1, 0},
		"minio":       {odd, 0, 1},
		"ceph":        {[]string{"in/a+b.txt", "in/a b.txt"}, 0, 0},
		"eventbridge": {[]string{"in/a+b%41 c.txt", "in/gone", "in/new"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]bool{}
			tests, reads := 0, 0
			for _, body := range recorded(t, name) {
				p, err := parse(body)
				if err != nil {
					t.Fatalf("%s: %v", body, err)
				}
				tests += p.Tests
				reads += p.Reads
				for _, c := range p.Changes {
					if c.Bucket != "src" {
						t.Errorf("bucket %q", c.Bucket)
					}
					for _, k := range c.Keys {
						got[k] = true
					}
				}
			}
			for _, k := range want.keys {
				if !got[k] {
					t.Errorf("%q is not named", k)
				}
				delete(got, k)
			}
			delete(got, "in/kept.txt")
			delete(got, "outside.txt")
			if len(got) > 0 || tests != want.tests || reads != want.reads {
				t.Errorf("also named: %v; %d tests, %d reads", got, tests, reads)
			}
		})
	}
}

// awsRecord is a record as AWS sends it.
func awsRecord(name, key string) string {
	return `{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"` + name + `","s3":{"configurationId":"any","bucket":{"name":"src"},"object":{"key":"` + key + `"}}}`
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, want string }{
		{"form", `{"Records":[` + awsRecord("ObjectCreated:Put", "red+flower%2B%C3%BC.jpg") + `]}`, "red flower+ü.jpg"},
		{"batch", `{"Records":[` + awsRecord("ObjectCreated:Put", "a") + "," + awsRecord("ObjectRemoved:Delete", "b") + `]}`, "a b"},
		{"badly encoded", `{"Records":[` + awsRecord("ObjectCreated:Put", "100%") + `]}`, "100%"},
		{"expired", `{"Records":[` + awsRecord("LifecycleExpiration:Delete", "a") + `]}`, "a"},
		{"test", `{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-10-13T15:57:02.089Z","Bucket":"src","RequestId":"5","HostId":"8"}`, ""},
		{"none", ` [] `, ""},
	} {
		p, err := parse([]byte(c.body))
		var keys []string
		for _, ch := range p.Changes {
			keys = append(keys, ch.Keys...)
		}
		if got := strings.Join(keys, " "); err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, bad := range []string{
		"", "null", "1", "{}", `{"Records":[]}`, `{"Records":[{}]}`, `{"Records":{}}`, `{"detail-type":"Object Created","detail":{}}`,
		`{"detail-type":"EC2 Instance State-change Notification","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}`, `[{"Records":[]}]`,
		`{"Records":[` + awsRecord("ObjectCreated:Put", "") + `]}`, `{"Records":[` + awsRecord("ObjectCreated:Put", "a") + `]`,
	} {
		if p, err := parse([]byte(bad)); err == nil {
			t.Errorf("%s: taken as %+v", bad, p)
		}
	}
}

// FuzzParse: nothing panics, and a change has a bucket and one or two keys, of which one is
// what was sent or decodes from it.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"versitygw", "minio", "ceph", "eventbridge"} {
		for _, body := range recorded(f, name) {
			f.Add(body)
		}
	}
	f.Add([]byte(`{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"%"}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parse(body)
		if err != nil {
			return
		}
		for _, c := range p.Changes {
			if c.Bucket == "" || len(c.Keys) < 1 || len(c.Keys) > 2 || c.Keys[0] == "" {
				t.Fatalf("%s: %+v", body, c)
			}
			if !utf8.ValidString(c.Bucket) {
				t.Fatalf("%s: bucket %q", body, c.Bucket)
			}
		}
	})
}
