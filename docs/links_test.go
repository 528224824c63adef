package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// TestLinksResolve follows every relative link of every Markdown file of the
// repository to a file, and to a heading where the link names one.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, link := range links(string(text)) {
			if why := broken(path, link); why != "" {
				t.Errorf("%s: link to %s: %s", strings.TrimPrefix(path, "../"), link, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 {
		t.Errorf("found %d Markdown files: does this test still look in the right place?", files)
	}
}

// broken says why a link of the file at path leads nowhere; "" when it leads somewhere.
func broken(path, link string) string {
	target, anchor, _ := strings.Cut(link, "#")
	file := path
	if target != "" {
		file = filepath.Join(filepath.Dir(path), filepath.FromSlash(target))
	}
	info, err := os.Stat(file)
	if err != nil {
		return "no such file"
	}
	if anchor == "" || info.IsDir() {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(anchors(string(text)), anchor) {
		return "no such heading"
	}
	return ""
}

var (
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	span    = regexp.MustCompile("`[^`\n]*`")
	inline  = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)
	defined = regexp.MustCompile(`(?m)^\[[^\]]+\]:\s+(\S+)`)
	scheme  = regexp.MustCompile(`^[a-z][a-z+.-]*:`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
)

// links returns the relative links of a Markdown text.
func links(text string) []string {
	text = span.ReplaceAllString(fence.ReplaceAllString(text, ""), "")
	var out []string
	for _, re := range []*regexp.Regexp{inline, defined} {
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			if !scheme.MatchString(m[1]) {
				out = append(out, m[1])
			}
		}
	}
	return out
}

// anchors returns the headings of a Markdown text as links name them: lower case,
// spaces as hyphens, no punctuation.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return out
}

func TestLinks(t *testing.T) {
	t.Parallel()
	const text = "# The *Title*, really\n[a](b.md) ![c](d.png \"e\") [f](https://example.com) [g](#title)\n" +
		"`[h](i)`\n```\n[j](k)\n# no heading\n```\n[l]: m.md#n\n"
	if diff := cmp.Diff([]string{"b.md", "d.png", "#title", "m.md#n"}, links(text)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"the-title-really"}, anchors(text)); diff != "" {
		t.Errorf("anchors (-want +got):\n%s", diff)
	}
	for _, link := range []string{"nothing.md", "#no-such-heading", "../README.md#no-such-heading"} {
		if broken("glossary.md", link) == "" {
			t.Errorf("the link %s is not broken", link)
		}
	}
}
