package app

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEndpointOptionsAreDocumented: errors about them send their reader to docs/stores.md.
func TestEndpointOptionsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "stores.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Options of an endpoint")
	section, _, _ = strings.Cut(section, "\n## ")
	for field := range reflect.TypeFor[EndpointOptions]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !strings.Contains(section, "| `"+name+"` |") {
			t.Errorf("%s is not in docs/stores.md", name)
		}
	}
}
