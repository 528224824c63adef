package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheckPairBuckets(t *testing.T) {
	t.Parallel()
	s3 := func(endpoint, bucket, prefix string) Store {
		return Store{Scheme: "s3", Endpoint: endpoint, Bucket: bucket, Prefix: prefix}
	}
	const host = "http://host:9000"
	for _, c := range []struct {
		code     string // "" when the pair is fine
		src, dst Store
	}{
		{"", s3(host, "aaa", ""), s3(host, "bbb", "")},
		{"", s3(host, "aaa", "x/"), s3(host, "aaa", "y/")},
		{"", s3(host, "aaa", "x/"), s3(host, "aaa", "xy/")},
		{"", s3(host, "aaa", ""), s3("http://host:9001", "aaa", "")},
		{"", s3("", "aaa", ""), s3(host, "aaa", "")},
		{"", s3("https://s3.cn-north-1.amazonaws.com.cn", "aaa", ""), s3("", "aaa", "")},
		{"SAME_STORE", s3(host, "aaa", ""), s3(host, "aaa", "")},
		{"SAME_STORE", s3("http://host", "aaa", "x/"), s3("http://host:80", "aaa", "x/")},
		{"SAME_STORE", s3("http://localhost:9", "aaa", ""), s3("http://127.0.0.1:9", "aaa", "")},
		{"SAME_STORE", s3("http://[::1]:9", "aaa", ""), s3("http://localhost.:9", "aaa", "")},
		{"SAME_STORE", s3("", "aaa", ""), s3("https://s3.eu-west-1.amazonaws.com", "aaa", "")},
		{"DESTINATION_INSIDE_SOURCE", s3(host, "aaa", ""), s3(host, "aaa", "x/")},
		{"DESTINATION_INSIDE_SOURCE", s3(host, "aaa", "x/"), s3(host, "aaa", "x/y/")},
		{"SOURCE_INSIDE_DESTINATION", s3(host, "aaa", "x/y/"), s3(host, "aaa", "x/")},
		{"", s3(host, "aaa", ""), Store{Scheme: "file", Dir: "/aaa"}},
	} {
		wantPair(t, c.code, c.src, c.dst)
	}
}

func wantPair(t *testing.T, code string, src, dst Store) {
	t.Helper()
	err := CheckPair(src, dst)
	if code != "" {
		wantCode(t, src.String()+" → "+dst.String(), err, code)
	} else if err != nil {
		t.Errorf("%v → %v: %v", src, dst, err)
	}
}

func TestCheckPairDirectories(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	at := func(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }
	dir := func(path string) Store { return Store{Scheme: "file", Dir: path} }
	for _, d := range []string{at("src", "sub"), at("dst"), at("src2")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{at("link"): at("src"), at("sublink"): at("src", "sub"), at("dst", "back"): at("src2")} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ code, src, dst string }{
		{"", at("src"), at("dst")},
		{"", at("src"), at("src2")},
		{"", at("src"), at("new", "deeper")},
		{"SAME_STORE", at("src"), at("src")},
		{"SAME_STORE", at("src"), at("link")},
		{"SAME_STORE", at("none"), at("none")},
		{"DESTINATION_INSIDE_SOURCE", at("src"), at("src", "sub")},
		{"DESTINATION_INSIDE_SOURCE", at("src"), at("sublink")},
		{"DESTINATION_INSIDE_SOURCE", at("src"), at("link", "new", "deeper")},
		{"DESTINATION_INSIDE_SOURCE", at("link"), at("src", "new")},
		{"SOURCE_INSIDE_DESTINATION", at("src", "sub"), at("src")},
		{"SOURCE_INSIDE_DESTINATION", at("sublink"), at("link")},
	} {
		wantPair(t, c.code, dir(c.src), dir(c.dst))
	}

	if err := CheckOutside("--report", at("reports"), dir(at("src")), dir(at("dst"))); err != nil {
		t.Error(err)
	}
	wantCode(t, "report in the destination", CheckOutside("--report", at("dst", "reports"), dir(at("src")), dir(at("dst"))), "PATH_INSIDE_STORE")
	wantCode(t, "state in the source", CheckOutside("--state", at("link", "state"), dir(at("src")), dir(at("dst"))), "PATH_INSIDE_STORE")
}
