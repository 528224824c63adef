package file

import (
	"strings"
	"unicode/utf8"
)

// APFS holds UTF-8 names only, and usually takes names that differ in case for one.
const nonUTF8Keys = false

func isReserved(name string) bool { return strings.EqualFold(name, Reserved) }

func checkSegment(name string) string {
	if !utf8.ValidString(name) {
		return "the key is not UTF-8"
	}
	return ""
}
