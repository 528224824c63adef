package plan

import "time"

// Mode is how two existing objects are compared (DESIGN.md, Comparing).
type Mode string

// The modes. The zero value means ModeAuto.
const (
	ModeAuto     Mode = "auto"       // comparable ETags or checksums decide, else size and times
	ModeSizeTime Mode = "size+mtime" // same size and destination later: equal
	ModeChecksum Mode = "checksum"   // comparable ETags, else both contents are read
	ModeAlways   Mode = "always"     // copy whatever is there
	ModeNever    Mode = "never"      // leave every existing destination object alone
	ModeOMS      Mode = "oms"        // the Huawei OMS page to the letter
)

// Options are a task's rules for deciding.
type Options struct {
	Mode Mode
	// Deletes lets keys missing at the source be deleted at the destination.
	Deletes bool
	Filter  Filter
	Guard   Guard
	// SrcETagMD5 and DstETagMD5 say that a side's ETags are MD5s (objstore.ETagMD5);
	// only when both are do unequal ETags disprove equality.
	SrcETagMD5, DstETagMD5 bool
	// Changed says that somebody who knows named the key because it changed: then times
	// alone do not make mode auto leave it alone, since a destination may be later
	// than a change that its copy did not see.
	Changed bool
	// Now is the time that age rules count back from; fixed for a whole scan.
	Now time.Time
}

// Guard limits the deletes of one scan. The zero value uses the defaults.
type Guard struct {
	MaxDeletes int64   // 0: 1,000; negative: no limit
	MaxPercent float64 // of the destination's objects; 0: 10; negative: no limit
}
