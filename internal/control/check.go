package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// CheckRequest says which bucket of an endpoint to try.
type CheckRequest struct {
	Bucket string
	Prefix string
	// Write also tries what a destination needs, with small objects below
	// Prefix + ".lockstep-check/", which are deleted again.
	Write bool
}

// Check is what an endpoint could do.
type Check struct {
	Probes []Probe
	// Policy is the least that a store must allow for what was denied, as an IAM policy
	// document; nil when nothing was, and of a directory.
	Policy json.RawMessage
}

// OK says whether every probe went well; what a store cannot do at all is no fault.
func (c Check) OK() bool {
	return !slices.ContainsFunc(c.Probes, func(p Probe) bool { return !p.OK && p.Code != "UNSUPPORTED" && p.Code != "SKIPPED" })
}

// Probe is one thing that was tried.
type Probe struct {
	Name  string // list, get, tags, put, multipart, delete
	OK    bool
	Code  string // what the store answered, e.g. DENIED; SKIPPED: an earlier probe it needs failed
	Error string // the store's own words
	Took  time.Duration
	// needs are the actions of IAM that the probe uses.
	needs []string
}

// checkTime bounds a whole check.
const checkTime = 30 * time.Second

// CheckEndpoint tries a bucket of an endpoint: list and get, and for a destination put,
// tags, multipart and delete. What a store denies is in the Check, not in the error.
func (c *Control) CheckEndpoint(ctx context.Context, who Caller, id task.EndpointID, r CheckRequest) (Check, error) {
	if err := who.may(mayAdminister); err != nil {
		return Check{}, err
	}
	if r.Bucket == "" {
		return Check{}, invalid("BAD_BUCKET", "no bucket is named", "name a bucket of the endpoint")
	}
	e, err := c.endpoint(ctx, who, id)
	if err != nil {
		return Check{}, err
	}
	b, err := c.bucket(ctx, who.Project, task.Location{Endpoint: id, Bucket: r.Bucket, Prefix: r.Prefix})
	if _, ours := errors.AsType[*task.Error](err); ours {
		return Check{}, err
	}
	if err != nil { // the store's answer to a driver that looks at the bucket first
		return unopened(e, r, err), nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	p := prober{b: b, key: ".lockstep-check/" + rand.Text()}
	p.read(ctx)
	if r.Write {
		p.write(ctx)
	}
	return Check{Probes: p.done, Policy: policy(e, r, p.done)}, nil
}

// unopened is the check of a bucket that cannot even be opened.
func unopened(e task.Endpoint, r CheckRequest, err error) Check {
	var p prober
	p.try("list", []string{"s3:ListBucket"}, func() error { return err })
	p.skip("get", "tags")
	if r.Write {
		p.skip("put", "set tags", "multipart", "delete")
	}
	return Check{Probes: p.done, Policy: policy(e, r, p.done)}
}

// prober tries one thing after the other.
type prober struct {
	b    objstore.Bucket
	key  string
	done []Probe
}

func (p *prober) try(name string, needs []string, f func() error) bool {
	start := time.Now()
	err := f()
	r := Probe{Name: name, OK: err == nil, Code: storeCode(err), Took: time.Since(start), needs: needs}
	if err != nil {
		r.Error = err.Error()
	}
	p.done = append(p.done, r)
	return r.OK
}

func (p *prober) skip(names ...string) {
	for _, n := range names {
		p.done = append(p.done, Probe{Name: n, Code: "SKIPPED"})
	}
}

// read lists one page and reads the first byte of what it finds.
func (p *prober) read(ctx context.Context) {
	var first string
	if !p.try("list", []string{"s3:ListBucket"}, func() error {
		for page, err := range p.b.List(ctx, objstore.ListOptions{PageSize: 1}) {
			if err != nil {
				return err
			}
			if len(page.Objects) > 0 {
				first = strings.Clone(page.Objects[0].Key)
			}
			break
		}
		return nil
	}) {
		p.skip("get", "tags")
		return
	}
	if first == "" {
		first = p.key // nothing there: a store that allows reading says so
	}
	p.try("get", []string{"s3:GetObject"}, func() error {
		o, err := p.b.Open(ctx, first, objstore.OpenOptions{})
		if errors.Is(err, objstore.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, o.Body, min(1, o.Length))
		return errors.Join(err, o.Body.Close())
	})
	p.try("tags", []string{"s3:GetObjectTagging"}, func() error {
		_, err := p.b.Tags(ctx, first)
		if errors.Is(err, objstore.ErrNotFound) {
			return nil
		}
		return err
	})
}

// write puts an object, tags it, uploads one in parts, and deletes both.
func (p *prober) write(ctx context.Context) {
	const text = "lockstep endpoint check\n"
	if !p.try("put", []string{"s3:PutObject"}, func() error {
		_, err := p.b.Put(ctx, p.key, strings.NewReader(text), int64(len(text)), objstore.PutOptions{})
		return err
	}) {
		p.skip("set tags", "multipart", "delete")
		return
	}
	p.try("set tags", []string{"s3:PutObjectTagging"}, func() error {
		if !p.b.Capabilities().Tags {
			return objstore.ErrUnsupported
		}
		return p.b.SetTags(ctx, p.key, map[string]string{"lockstep": "check"})
	})
	p.try("multipart", []string{"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"}, func() error {
		if p.b.Capabilities().MaxParts == 0 {
			return objstore.ErrUnsupported
		}
		id, err := p.b.CreateMultipart(ctx, p.key, objstore.PutOptions{})
		if err != nil {
			return err
		}
		_, err = p.b.PutPart(ctx, p.key, id, 1, strings.NewReader(text), int64(len(text)), objstore.PartOptions{})
		if err == nil {
			_, err = p.b.ListParts(ctx, p.key, id)
		}
		return errors.Join(err, p.b.AbortMultipart(context.WithoutCancel(ctx), p.key, id))
	})
	p.try("delete", []string{"s3:DeleteObject"}, func() error {
		return p.b.Delete(context.WithoutCancel(ctx), p.key, objstore.DeleteOptions{})
	})
}

type statement struct {
	Effect    string         `json:"Effect"`
	Action    []string       `json:"Action"`
	Resource  string         `json:"Resource"`
	Condition map[string]any `json:"Condition,omitempty"`
}

// policy is the least that allows what was denied. A directory has rights, not policies.
func policy(e task.Endpoint, r CheckRequest, probes []Probe) json.RawMessage {
	if e.Provider == "file" {
		return nil
	}
	var onBucket, onObjects []string
	for _, p := range probes {
		if p.OK || p.Code != "DENIED" {
			continue
		}
		for _, a := range p.needs {
			if a == "s3:ListBucket" {
				onBucket = append(onBucket, a)
			} else if !slices.Contains(onObjects, a) {
				onObjects = append(onObjects, a)
			}
		}
	}
	var all []statement
	if len(onBucket) > 0 {
		s := statement{Effect: "Allow", Action: onBucket, Resource: "arn:aws:s3:::" + r.Bucket}
		if r.Prefix != "" {
			s.Condition = map[string]any{"StringLike": map[string]string{"s3:prefix": r.Prefix + "*"}}
		}
		all = append(all, s)
	}
	if len(onObjects) > 0 {
		slices.Sort(onObjects)
		all = append(all, statement{Effect: "Allow", Action: onObjects, Resource: "arn:aws:s3:::" + r.Bucket + "/" + r.Prefix + "*"})
	}
	if all == nil {
		return nil
	}
	doc, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": all})
	if err != nil {
		return nil // strings marshal
	}
	return doc
}
