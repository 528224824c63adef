package s3server

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
)

// requireEnv names, separated by commas, the servers a run must have: one that is
// missing fails the test, and tests of other servers are skipped, so that a run is
// the same on every machine. Unset, a test uses what is built and is skipped else.
const requireEnv = "LOCKSTEP_REQUIRE"

// executable returns the path of p's executable, or ends the test.
func executable(t testing.TB, p pinned.Program) string {
	t.Helper()
	path, built := p.Built()
	names, limited := os.LookupEnv(requireEnv)
	switch judge(p.Name, names, limited, built) {
	case leftOut:
		t.Skipf("%s=%s leaves %s out of this run", requireEnv, names, p.Name)
	case missing:
		t.Fatalf("%s %s is not built: run `make %s`", p.Name, p.Version, p.Name)
	case optional:
		t.Skipf("%s %s is not built: run `make %s` to have this test", p.Name, p.Version, p.Name)
	case usable:
	}
	return path
}

// verdict is what becomes of a test that wants a server.
type verdict uint8

const (
	usable   verdict = iota // run it
	leftOut                 // skip: this run is about other servers
	missing                 // fail
	optional                // skip: nobody asked for it
)

// judge decides:
//
//	requireEnv   names it   built   verdict
//	unset        -          yes     usable
//	unset        -          no      optional
//	set          no         any     leftOut
//	set          yes        yes     usable
//	set          yes        no      missing
func judge(name, names string, limited, built bool) verdict {
	required := slices.Contains(strings.Split(names, ","), name)
	switch {
	case limited && !required:
		return leftOut
	case built:
		return usable
	case required:
		return missing
	default:
		return optional
	}
}
