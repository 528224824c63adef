//go:build !linux && !darwin

package file

import (
	"path/filepath"
	"strings"
	"unicode/utf8"
)

const nonUTF8Keys = false

func isReserved(name string) bool { return strings.EqualFold(name, Reserved) }

// checkSegment refuses what Windows reads as something else: device names,
// drive letters, alternate streams, the other separator, and the trailing dots
// and spaces it drops.
func checkSegment(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "the key is not UTF-8"
	case strings.ContainsAny(name, `\:*?"<>|`) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return "the key holds a character that file names cannot"
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || !filepath.IsLocal(name):
		return "a segment of the key is no file name"
	}
	return ""
}
