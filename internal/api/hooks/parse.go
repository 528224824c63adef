package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/control"
)

// Parsed is what a body tells.
type Parsed struct {
	Changes []control.Change
	Tests   int // test events
	Reads   int // events of objects that were only read
}

var errShape = errors.New("it is neither an S3 event record nor an EventBridge event")

// record is what matters of an event record.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
type record struct {
	Source string `json:"eventSource"`
	Name   string `json:"eventName"`
	S3     *struct {
		Config string `json:"configurationId"`
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key string `json:"key"`
		} `json:"object"`
	} `json:"s3"`
}

// message is any of the bodies that stores send.
type message struct {
	Records []record `json:"Records"`
	// Event is there in what AWS and versitygw send to see who listens.
	Event string `json:"Event"`

	// Of EventBridge.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
	Type   string `json:"detail-type"`
	Detail *struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key string `json:"key"`
		} `json:"object"`
	} `json:"detail"`
}

// parse reads the body of a notification: records of S3, one event of EventBridge, or an
// array of either.
func parse(body []byte) (Parsed, error) {
	var all []message
	if t := bytes.TrimLeft(body, " \t\r\n"); len(t) > 0 && t[0] == '[' {
		if err := json.Unmarshal(body, &all); err != nil {
			return Parsed{}, err
		}
	} else {
		all = make([]message, 1)
		if err := json.Unmarshal(body, &all[0]); err != nil {
			return Parsed{}, err
		}
	}
	var out Parsed
	for _, m := range all {
		if err := out.add(m); err != nil {
			return Parsed{}, err
		}
	}
	return out, nil
}

func (p *Parsed) add(m message) error {
	switch {
	case len(m.Records) > 0:
		for i, r := range m.Records {
			if r.S3 == nil || r.S3.Object.Key == "" || r.S3.Bucket.Name == "" {
				return fmt.Errorf("record %d names no bucket or no key", i)
			}
			if isRead(r.Name) {
				p.Reads++
				continue
			}
			p.Changes = append(p.Changes, control.Change{Bucket: r.S3.Bucket.Name, Keys: keysOf(r)})
		}
	case m.Event != "":
		p.Tests++
	case m.Detail != nil && strings.HasPrefix(m.Type, "Object "):
		if m.Detail.Object.Key == "" || m.Detail.Bucket.Name == "" {
			return errors.New("the event names no bucket or no key")
		}
		p.Changes = append(p.Changes, control.Change{Bucket: m.Detail.Bucket.Name, Keys: []string{m.Detail.Object.Key}})
	default:
		return errShape
	}
	return nil
}

// isRead says that an object was only read. Lockstep reads what it copies: such events
// would go round for ever.
func isRead(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(name, "s3:"), "ObjectAccessed:")
}

// keysOf returns the key that a record means, or, where its sender may or may not have
// encoded it, both readings.
//
// AWS and MinIO form-encode it: + is a space. versitygw, known by the name of its one
// configuration, sends it plain, and so does Ceph.
func keysOf(r record) []string {
	key := r.S3.Object.Key
	if r.S3.Config == "webhook-global" {
		return []string{key}
	}
	form, err := url.QueryUnescape(key)
	switch {
	case err != nil: // nobody encoded it
		return []string{key}
	case r.Source == "aws:s3" || r.Source == "minio:s3" || form == key:
		return []string{form}
	}
	return []string{key, form}
}
