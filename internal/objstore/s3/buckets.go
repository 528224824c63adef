package s3

import (
	"context"
	"net/http"
)

// Buckets returns the names of the buckets that these credentials own, as ListBuckets of
// the S3 API does; of cfg only what belongs to every bucket counts.
func (s *Service) Buckets(ctx context.Context, cfg Config) ([]string, error) {
	cfg.Bucket, cfg.VirtualHost = "a.b", false // any that no host name could begin with
	b, err := s.Bucket(cfg)
	if err != nil {
		return nil, err
	}
	b.name = ""
	p := newPlace(s.endpoint, cfg.Bucket, b.place.Load().region, false)
	p.root = p.root[:len(p.root)-len(cfg.Bucket)]
	b.place.Store(p)
	r := newRequest("list-buckets", http.MethodGet, "")
	var doc struct {
		Buckets struct {
			Bucket []struct{ Name string }
		}
	}
	if _, err := b.document(ctx, r, &doc); err != nil {
		return nil, err
	}
	names := make([]string, len(doc.Buckets.Bucket))
	for i, o := range doc.Buckets.Bucket {
		names[i] = o.Name
	}
	return names, nil
}
