package file

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// storedPart is a part of an upload and where its bytes are.
type storedPart struct {
	objstore.Part
	serial int64 // of two records of a number the one with the greater serial holds
	shared bool  // at its place in the file of all parts of its size
}

func (p *storedPart) claimName() string { return "c" + strconv.Itoa(p.Number) }

// fileName is the file that holds the bytes.
func (p *storedPart) fileName() string {
	if p.shared {
		return sharedName(p.Size)
	}
	return "r" + strconv.Itoa(p.Number) + "-" + strconv.FormatInt(p.serial, 16)
}

func sharedName(size int64) string { return "s" + strconv.FormatInt(size, 16) }

// offset is where the bytes begin in that file.
func (p *storedPart) offset() int64 {
	if p.shared {
		return int64(p.Number-1) * p.Size
	}
	return 0
}

func (p *storedPart) etag() string {
	return strconv.FormatInt(p.serial, 16) + "-" + strconv.FormatUint(p.CRC64.Sum, 16)
}

// recordName says all of a part in the name of a file: number, size, CRC64
// ("-" for none), serial, and s or r for the kind of file its bytes are in. A
// name appears at once or not at all.
func (p *storedPart) recordName() string {
	sum, where := "-", "r"
	if p.CRC64.Set {
		sum = strconv.FormatUint(p.CRC64.Sum, 16)
	}
	if p.shared {
		where = "s"
	}
	return strings.Join([]string{
		"p" + strconv.Itoa(p.Number), strconv.FormatInt(p.Size, 16), sum, strconv.FormatInt(p.serial, 16), where,
	}, ".")
}

// parseRecord reads what recordName wrote.
func parseRecord(name string) (p storedPart, ok bool) {
	fields := strings.Split(name, ".")
	if len(fields) != 5 || !strings.HasPrefix(name, "p") {
		return p, false
	}
	var errs [4]error
	p.Number, errs[0] = strconv.Atoi(fields[0][1:])
	p.Size, errs[1] = strconv.ParseInt(fields[1], 16, 64)
	if fields[2] != "-" {
		p.CRC64.Set = true
		p.CRC64.Sum, errs[2] = strconv.ParseUint(fields[2], 16, 64)
	}
	p.serial, errs[3] = strconv.ParseInt(fields[3], 16, 64)
	p.shared = fields[4] == "s"
	p.ETag = p.etag()
	return p, errs == [4]error{} && p.Number >= 1 && p.Number <= maxParts && p.Size >= 0 && p.recordName() == name
}

// parts returns the newest record of each part, by number. safe says that every
// writer of a shared file is known to have ended.
func (u upload) parts() (stored []storedPart, safe bool, err error) {
	f, err := u.self()
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, false, err
	}
	files := make(map[string]bool)
	claims := 0
	ended := make(map[int]bool)
	for _, name := range names {
		switch name[0] {
		case 'c':
			if name != closedName {
				claims++
			}
		case 's', 'r':
			files[name] = true
		case 'p':
			if p, ok := parseRecord(name); ok {
				stored = append(stored, p)
				if p.shared {
					ended[p.Number] = true
				}
			}
		}
	}
	slices.SortFunc(stored, func(a, b storedPart) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(b.serial, a.serial))
	})
	stored = slices.CompactFunc(stored, func(a, b storedPart) bool { return a.Number == b.Number })
	// A completion that was cut short may have taken a file away with its parts.
	stored = slices.DeleteFunc(stored, func(p storedPart) bool { return !files[p.fileName()] })
	return stored, claims == len(ended), nil
}
