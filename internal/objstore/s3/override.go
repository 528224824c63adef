package s3

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// overrides are the traits a configuration may change, by name. Sizes take the
// suffixes KiB, MiB, GiB and TiB.
var overrides = map[string]func(t *traits, value string) error{
	"list": func(t *traits, v string) error {
		return pick(v, &t.listV1, map[string]bool{"1": true, "2": false})
	},
	"url-encoding": flag(func(t *traits) *bool { return &t.urlEncoding }),
	"conditional": func(t *traits, v string) error {
		return pick(v, &t.Conditional, map[string]objstore.Conditional{
			"none": objstore.ConditionalNone, "absent": objstore.ConditionalAbsent, "full": objstore.ConditionalFull,
		})
	},
	"conditional-copy":   flag(func(t *traits) *bool { return &t.condCopy }),
	"conditional-delete": flag(func(t *traits) *bool { return &t.condDelete }),
	"etag": func(t *traits, v string) error {
		return pick(v, &t.ETag, map[string]objstore.ETagTrust{"md5": objstore.ETagMD5, "opaque": objstore.ETagOpaque})
	},
	"checksum-put":      flag(func(t *traits) *bool { return &t.ChecksumPut }),
	"checksum-part":     flag(func(t *traits) *bool { return &t.checksumPart }),
	"checksum-complete": flag(func(t *traits) *bool { return &t.ChecksumComplete }),
	"max-key":           count(func(t *traits) *int { return &t.MaxKey }),
	"max-put":           size(func(t *traits) *int64 { return &t.MaxPut }),
	"min-part":          size(func(t *traits) *int64 { return &t.MinPart }),
	"max-part":          size(func(t *traits) *int64 { return &t.MaxPart }),
	"max-parts":         count(func(t *traits) *int { return &t.MaxParts }),
	"max-copy":          size(func(t *traits) *int64 { return &t.MaxCopy }),
	"max-meta":          count(func(t *traits) *int { return &t.MaxMeta }),
	"delete-many":       count(func(t *traits) *int { return &t.DeleteMany }),
	"tags":              flag(func(t *traits) *bool { return &t.Tags }),
	"tags-on-put":       flag(func(t *traits) *bool { return &t.tagsOnPut }),
	"meta":              flag(func(t *traits) *bool { return &t.Meta }),
	"meta-encoding": func(t *traits, v string) error {
		return pick(v, &t.rfc2047, map[string]bool{"rfc2047": true, "utf8": false})
	},
	"restore-tier": func(t *traits, v string) error {
		return pick(v, &t.restoreTier, map[string]string{"Standard": "Standard", "Expedited": "Expedited", "Bulk": "Bulk"})
	},
	"part-layout":   flag(func(t *traits) *bool { return &t.PartLayout }),
	"path-keys":     flag(func(t *traits) *bool { return &t.pathKeys }),
	"stores-torn":   flag(func(t *traits) *bool { return &t.storesTorn }),
	"non-utf8-keys": flag(func(t *traits) *bool { return &t.NonUTF8Keys }),
}

// override applies one "name=value".
func (t *traits) override(s string) error {
	name, value, ok := strings.Cut(s, "=")
	set := overrides[strings.TrimSpace(name)]
	switch {
	case !ok:
		return fmt.Errorf("s3: override %q is not name=value", s)
	case set == nil:
		return fmt.Errorf("s3: unknown override %q, one of %s", name, strings.Join(slices.Sorted(maps.Keys(overrides)), ", "))
	}
	if err := set(t, strings.TrimSpace(value)); err != nil {
		return fmt.Errorf("s3: override %s: %w", name, err)
	}
	return nil
}

func pick[T any](value string, dst *T, choices map[string]T) error {
	v, ok := choices[value]
	if !ok {
		return fmt.Errorf("%q is none of %s", value, strings.Join(slices.Sorted(maps.Keys(choices)), ", "))
	}
	*dst = v
	return nil
}

func flag(field func(*traits) *bool) func(*traits, string) error {
	return func(t *traits, value string) error {
		return pick(value, field(t), map[string]bool{"true": true, "false": false})
	}
}

func count(field func(*traits) *int) func(*traits, string) error {
	return func(t *traits, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no count", value)
		}
		*field(t) = n
		return nil
	}
}

func size(field func(*traits) *int64) func(*traits, string) error {
	return func(t *traits, value string) error {
		unit := int64(1)
		for suffix, factor := range map[string]int64{"KiB": kib, "MiB": mib, "GiB": gib, "TiB": tib} {
			if v, ok := strings.CutSuffix(value, suffix); ok {
				value, unit = v, factor
			}
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/unit {
			return fmt.Errorf("%q is no size", value)
		}
		*field(t) = n * unit
		return nil
	}
}
