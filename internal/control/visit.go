package control

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Visits opens stores for clients that bring credentials. Empty credentials are the
// endpoint's own.
type Visits interface {
	// Visit returns the bucket at l, as Stores.Bucket does, and what ends the visit.
	Visit(ctx context.Context, project task.ProjectID, l task.Location, k Credentials) (b objstore.Bucket, leave func(), err error)
	// Buckets returns the names of an endpoint's buckets.
	Buckets(ctx context.Context, project task.ProjectID, id task.EndpointID, k Credentials) ([]string, error)
}

// visitTime bounds what a client waits for a store.
const visitTime = 15 * time.Second

// visiting admits a pair of credentials to an endpoint and returns what to open it with.
func (c *Control) visiting(ctx context.Context, who Caller, id task.EndpointID, k Credentials) (Credentials, error) {
	if err := who.may(mayRead); err != nil {
		return k, err
	}
	v, ok := c.cfg.Stores.(Visits)
	if !ok || v == nil {
		return k, &task.Error{Kind: task.Unavailable, Code: "NO_STORES", Text: "this process opens no buckets", Next: "ask a process of role all", Err: errNoGuests}
	}
	e, err := c.endpoint(ctx, who, id)
	if err != nil {
		return k, err
	}
	keep, err := c.admit(e, k, CodeSourceKeys)
	if !keep {
		k = Credentials{}
	}
	return k, err
}

// storeError makes what a store answered an error for the client. Its text is not the
// store's: that may name what the client may not see.
func storeError(what string, err error) error {
	code := storeCode(err)
	kind := task.Invalid
	switch {
	case code == "":
		return nil
	case errors.Is(err, objstore.ErrUnavailable), errors.Is(err, objstore.ErrThrottled), errors.Is(err, context.DeadlineExceeded):
		kind = task.Unavailable
	}
	return &task.Error{Kind: kind, Code: "STORE_" + code, Text: what + ": the store answers " + code, Next: "check bucket, region and credentials", Err: err}
}

// ProbeBucket asks whether a bucket can be listed with a pair of credentials. An error
// whose code begins with STORE_ is the store's refusal.
func (c *Control) ProbeBucket(ctx context.Context, who Caller, l task.Location, k Credentials) error {
	_, err := c.ListObjects(ctx, who, l, k, Listing{Limit: 1})
	return err
}

// ListBuckets returns the buckets that a pair of credentials sees at an endpoint.
func (c *Control) ListBuckets(ctx context.Context, who Caller, id task.EndpointID, k Credentials) ([]string, error) {
	k, err := c.visiting(ctx, who, id, k)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	names, err := c.cfg.Stores.(Visits).Buckets(ctx, who.Project, id, k)
	return names, storeError("the buckets cannot be listed", err)
}

// Listing selects objects of a bucket.
type Listing struct {
	Prefix string
	After  string // only keys after it
	// Delimiter folds keys with one after Prefix into one name that ends in it; empty: none.
	Delimiter string
	Limit     int
}

// Listed is a page of a bucket.
type Listed struct {
	Names []ListedName // in the order of keys
	More  bool
}

// ListedName is an object, or with Folded all keys that begin with it.
type ListedName struct {
	Key    string
	Size   int64
	Folded bool
}

// ListObjects returns a page of a bucket, as a pair of credentials sees it.
func (c *Control) ListObjects(ctx context.Context, who Caller, l task.Location, k Credentials, q Listing) (Listed, error) {
	k, err := c.visiting(ctx, who, l.Endpoint, k)
	if err != nil {
		return Listed{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	b, leave, err := c.cfg.Stores.(Visits).Visit(ctx, who.Project, l, k)
	if err != nil {
		return Listed{}, storeError("the bucket cannot be opened", err)
	}
	defer leave()
	out, err := list(ctx, b, q)
	return out, storeError("the bucket cannot be listed", err)
}

// list skips what a folded name stands for as soon as a page ends in it: a folder may
// hold millions of keys.
func list(ctx context.Context, b objstore.Bucket, q Listing) (out Listed, err error) {
	after := q.After
	if n := q.name(objstore.Object{Key: q.After}); n.Folded && n.Key == q.After {
		after = behind(q.After)
	}
	for jump := true; jump; {
		jump = false
		for page, err := range b.List(ctx, objstore.ListOptions{Prefix: q.Prefix, After: after, PageSize: pageSize(q)}) {
			if err != nil {
				return out, err
			}
			var last ListedName
			for _, o := range page.Objects {
				last = q.name(o)
				if known := len(out.Names); last.Folded && (last.Key == q.After || known > 0 && last == out.Names[known-1]) {
					continue
				}
				if len(out.Names) == q.Limit {
					out.More = true
					return out, nil
				}
				last.Key = strings.Clone(last.Key)
				out.Names = append(out.Names, last)
			}
			if next := behind(last.Key); last.Folded && next > after {
				after, jump = next, true
				break
			}
		}
	}
	return out, nil
}

// name is an object, or the name it is folded into.
func (q *Listing) name(o objstore.Object) ListedName {
	rest, below := strings.CutPrefix(o.Key, q.Prefix)
	if i := strings.Index(rest, q.Delimiter); below && q.Delimiter != "" && i >= 0 {
		return ListedName{Key: o.Key[:len(q.Prefix)+i+len(q.Delimiter)], Folded: true}
	}
	return ListedName{Key: o.Key, Size: o.Size}
}

// behind is a key after all that begin with a folded name and go on in UTF-8.
func behind(folded string) string { return folded + string(utf8.MaxRune) }

func pageSize(q Listing) int {
	if q.Delimiter != "" {
		return 1000
	}
	return min(q.Limit+1, 1000)
}

// AnyObject says whether there is a key that begins with a prefix.
func (c *Control) AnyObject(ctx context.Context, who Caller, l task.Location, k Credentials, prefix string) (bool, error) {
	out, err := c.ListObjects(ctx, who, l, k, Listing{Prefix: prefix, Limit: 1})
	return len(out.Names) > 0, err
}
