package task

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// ID names a task: a UUID in lower case, which every dialect can carry.
type ID string

// JobID names a job: 26 characters of [0-9a-v], sorted by the time of the start.
type JobID string

// ProjectID names the tenant that tasks, endpoints and access keys belong to.
type ProjectID string

// EndpointID names an endpoint within its project, as its owner called it.
type EndpointID string

// KeyID is the public half of an access key.
type KeyID string

// NodeID names one running process among those that share a database.
type NodeID string

// NewID makes a random (version 4) UUID.
func NewID() ID {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return ID(s[:])
}

// Valid says whether id has the form of a UUID in lower case.
func (id ID) Valid() bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
				return false
			}
		}
	}
	return true
}

// jobDigits is base32hex in lower case: its order is the order of the bytes.
var jobDigits = base32.HexEncoding.WithPadding(base32.NoPadding)

// NewJobID makes a JobID that sorts by at, to the millisecond.
func NewJobID(at time.Time) JobID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16)
	rand.Read(b[6:])
	return JobID(strings.ToLower(jobDigits.EncodeToString(b[:])))
}

// Valid says whether id has the form NewJobID gives.
func (id JobID) Valid() bool {
	if len(id) != 26 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'v') {
			return false
		}
	}
	return true
}
