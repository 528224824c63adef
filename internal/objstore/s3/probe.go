package s3

import (
	"context"
	"net/http"
)

// Probe implements objstore.Bucket. It lists one key: that has an answer with
// words, proves the permission everything begins with, and tells the region.
func (b *Bucket) Probe(ctx context.Context) error {
	r := newRequest("probe", http.MethodGet, "")
	r.query = "max-keys=1"
	if !b.traits.Load().listV1 {
		r.query = "list-type=2&max-keys=1"
	}
	h, err := b.document(ctx, r, nil)
	if err != nil {
		return err
	}
	b.learnServer(h)
	return nil
}
