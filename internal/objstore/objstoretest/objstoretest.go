// Package objstoretest holds the conformance suite of objstore.Bucket. Every
// driver and every wrapper runs it in a test called TestContract:
//
//	func TestContract(t *testing.T) {
//		objstoretest.TestBucket(t, func(t *testing.T) objstore.Bucket { … })
//	}
//
// What Capabilities make optional is skipped where it is not claimed; what is
// claimed must be proved. Subtests share buckets, each under keys of its own, so
// that the suite stays quick against a slow server.
package objstoretest

import (
	"testing"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// Option adds to the suite what open alone cannot give it.
type Option func(*suite)

// Missing gives the suite a bucket that does not exist.
func Missing(open func(t *testing.T) objstore.Bucket) Option {
	return func(s *suite) { s.missing = open }
}

// Defects are those of a server that its driver can neither notice nor mend. A
// test names them one by one, so that the list says what to expect of the server.
type Defects struct {
	// Unlisted are keys of the corpus that the server takes but does not list.
	Unlisted []string
	// Loses is what the server may lose without a word, named as in Written.Dropped.
	Loses []string
}

// Known tells the suite to tolerate defects.
func Known(d Defects) Option {
	return func(s *suite) { s.defects = d }
}

type suite struct {
	missing func(t *testing.T) objstore.Bucket
	defects Defects
}

// subject is the bucket under test with what is known of its server.
type subject struct {
	objstore.Bucket
	defects Defects
}

// TestBucket checks buckets that open returns against the contract. Each call of
// open gives a fresh empty bucket, which t.Cleanup may remove: no subtest is
// running any more when TestBucket returns.
func TestBucket(t *testing.T, open func(t *testing.T) objstore.Bucket, opts ...Option) {
	var s suite
	for _, opt := range opts {
		opt(&s)
	}
	t.Run("List", func(t *testing.T) { testListings(t, open(t)) })
	t.Run("Keys", func(t *testing.T) { testKeys(t, subject{open(t), s.defects}) })
	t.Run("Objects", func(t *testing.T) {
		b := subject{open(t), s.defects}
		for _, checks := range [][]check{
			readTests, writeTests, deleteTests, attributeTests, concurrencyTests,
			multipartTests, conditionTests, checksumTests, copyTests,
		} {
			run(t, b, checks)
		}
	})
	t.Run("CopyBetweenBuckets", func(t *testing.T) { testCopyBetween(t, open(t), open(t)) })
	t.Run("MissingBucket", func(t *testing.T) {
		if s.missing == nil {
			t.Skip("no missing bucket given")
		}
		testMissingBucket(t, s.missing(t))
	})
}

// check is one subtest on a shared bucket. dir is the prefix of the keys it owns.
type check struct {
	name string
	run  func(t *testing.T, b subject, dir string)
}

// run starts the checks in parallel; they end before the test that called it.
func run(t *testing.T, b subject, checks []check) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, b, c.name+"/")
		})
	}
}
