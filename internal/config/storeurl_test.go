package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockstep-sync/lockstep/internal/task"
)

func TestParseStore(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]Store{
		"s3://photos":              {Scheme: "s3", Bucket: "photos"},
		"s3://photos/":             {Scheme: "s3", Bucket: "photos"},
		"S3://photos/a":            {Scheme: "s3", Bucket: "photos", Prefix: "a/"},
		"s3://photos/a/b/":         {Scheme: "s3", Bucket: "photos", Prefix: "a/b/"},
		"s3://photos//":            {Scheme: "s3", Bucket: "photos", Prefix: "/"},
		"s3://photos//a":           {Scheme: "s3", Bucket: "photos", Prefix: "/a/"},
		"s3://photos/../a":         {Scheme: "s3", Bucket: "photos", Prefix: "../a/"},
		"s3://photos/a%20b+c d?#":  {Scheme: "s3", Bucket: "photos", Prefix: "a%20b+c d?#/"},
		"s3://photos/me@home":      {Scheme: "s3", Bucket: "photos", Prefix: "me@home/"},
		"s3://photos/\xff":         {Scheme: "s3", Bucket: "photos", Prefix: "\xff/"},
		"s3://Old_Name.1/x":        {Scheme: "s3", Bucket: "Old_Name.1", Prefix: "x/"},
		"file:///data":             {Scheme: "file", Dir: "/data"},
		"file:///data/":            {Scheme: "file", Dir: "/data"},
		"file:/data":               {Scheme: "file", Dir: "/data"},
		"file://localhost/data":    {Scheme: "file", Dir: "/data"},
		"file:///a%20b%2Bc+d?e#f":  {Scheme: "file", Dir: "/a b+c+d?e#f"},
		"/data/100%/a b":           {Scheme: "file", Dir: "/data/100%/a b"},
		".":                        {Scheme: "file", Dir: here},
		"./x":                      {Scheme: "file", Dir: here + "/x"},
		"../x":                     {Scheme: "file", Dir: filepath.Dir(here) + "/x"},
		"./s3://photos":            {Scheme: "file", Dir: here + "/s3:/photos"},
		"file:///x/../data/./more": {Scheme: "file", Dir: "/data/more"},
	} {
		got, err := ParseStore(arg)
		if err != nil {
			t.Errorf("ParseStore(%q): %v", arg, err)
			continue
		}
		if diff := cmp.Diff(fields(want), fields(got)); diff != "" {
			t.Errorf("ParseStore(%q) (-want +got):\n%s", arg, diff)
		}
	}
}

// fields shows what Store's own printing hides.
func fields(s Store) map[string]string {
	return map[string]string{"scheme": s.Scheme, "bucket": s.Bucket, "prefix": s.Prefix, "dir": s.Dir}
}

func TestParseStoreRefuses(t *testing.T) {
	t.Parallel()
	for arg, code := range map[string]string{
		"":                          "MISSING_SCHEME",
		"photos":                    "MISSING_SCHEME",
		"photos/a":                  "MISSING_SCHEME",
		"s3:photos":                 "MISSING_SCHEME",
		"s3:/photos":                "MISSING_SCHEME",
		"://photos":                 "MISSING_SCHEME",
		"HUSHHUSHHUSH1://x":         "MISSING_SCHEME",
		"gs://photos":               "UNKNOWN_SCHEME",
		"http://HUSH:HUSH@host/x":   "UNKNOWN_SCHEME",
		"https://host/photos":       "UNKNOWN_SCHEME",
		"s3://":                     "NO_BUCKET",
		"s3:///photos":              "NO_BUCKET",
		"s3://a":                    "INVALID_BUCKET",
		"s3://-photos":              "INVALID_BUCKET",
		"s3://pho..tos":             "INVALID_BUCKET",
		"s3://photos_":              "INVALID_BUCKET",
		"s3://HUSH:HUSH":            "INVALID_BUCKET",
		"s3://ph tos":               "INVALID_BUCKET",
		"s3://photos%2Fa":           "INVALID_BUCKET",
		"s3://" + long(256):         "INVALID_BUCKET",
		"s3://HUSH:HUSH@photos":     "KEYS_IN_ADDRESS",
		"s3://HUSH:HU/SH@photos/a":  "KEYS_IN_ADDRESS",
		"s3://HUSH@photos":          "KEYS_IN_ADDRESS",
		"s3://b?secret_key=HUSH":    "KEYS_IN_ADDRESS",
		"s3://b/p?x=1&AccessKey=a":  "KEYS_IN_ADDRESS",
		"s3://b/p?X-Amz-Signature=": "KEYS_IN_ADDRESS",
		"file://":                   "NO_DIRECTORY",
		"file:///":                  "NO_DIRECTORY",
		"/":                         "NO_DIRECTORY",
		"/data/..":                  "NO_DIRECTORY",
		"file:":                     "RELATIVE_FILE_URL",
		"file:data":                 "RELATIVE_FILE_URL",
		"file://data":               "RELATIVE_FILE_URL",
		"file://./data":             "RELATIVE_FILE_URL",
		"file://server/data":        "RELATIVE_FILE_URL",
		"file:///100%":              "INVALID_ADDRESS",
		"file:///a%00":              "INVALID_ADDRESS",
		"/a\x00b":                   "INVALID_ADDRESS",
	} {
		_, err := ParseStore(arg)
		wantCode(t, arg, err, code)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// wantCode checks code, kind, advice, and that nothing called HUSH is repeated.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *task.Error
	if !errors.As(err, &e) {
		t.Errorf("%q: error is %v, want code %s", what, err, code)
		return
	}
	if e.Kind != task.Invalid || e.Code != code || e.Next == "" || e.Text == "" {
		t.Errorf("%q: got kind %d, code %s, text %q, next %q, want code %s", what, e.Kind, e.Code, e.Text, e.Next, code)
	}
	if strings.Contains(e.Text+e.Next, "HUSH") {
		t.Errorf("%q: the error repeats a secret: %s; %s", what, e.Text, e.Next)
	}
}

func FuzzParseStore(f *testing.F) {
	for _, arg := range []string{
		"s3://photos", "s3://photos//a/../b", "s3://AK:S/K@photos", "s3://b?secret=x", "file:///a%20b", "file:/x", "file://localhost/%2e%2e/x",
		"./x", "../..", "/", "gs://x", "s3:///", "s3://a.b/\xff\x00", "file:///%", "http://x", "",
	} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		s, err := ParseStore(arg)
		if err != nil {
			var e *task.Error
			if !errors.As(err, &e) || e.Kind != task.Invalid || e.Code == "" || e.Next == "" {
				t.Fatalf("ParseStore(%q): error without kind, code or next step: %v", arg, err)
			}
			return
		}
		switch {
		case s.Scheme == "s3" && validBucket(s.Bucket) && s.Dir == "" && (s.Prefix == "" || strings.HasSuffix(s.Prefix, "/")):
		case s.Scheme == "file" && s.Bucket == "" && s.Prefix == "" && filepath.IsAbs(s.Dir) && filepath.Clean(s.Dir) == s.Dir && s.Dir != "/":
		default:
			t.Fatalf("ParseStore(%q) = %v", arg, fields(s))
		}
		again, err := ParseStore(s.Address())
		if err != nil {
			t.Fatalf("ParseStore(%q).Address() = %q does not parse: %v", arg, s.Address(), err)
		}
		if diff := cmp.Diff(fields(s), fields(again)); diff != "" {
			t.Fatalf("ParseStore(%q).Address() = %q is another store:\n%s", arg, s.Address(), diff)
		}
	})
}
