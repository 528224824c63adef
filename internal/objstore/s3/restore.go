package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// restoreRequest is the body of RestoreObject.
type restoreRequest struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ RestoreRequest"`
	Days    int
	Job     *restoreJob `xml:"GlacierJobParameters"`
}

type restoreJob struct {
	Tier string
}

// Restore implements objstore.Bucket. The store's own retrieval tier is used unless the
// endpoint's options name one.
func (b *Bucket) Restore(ctx context.Context, key string, days int) error {
	t := b.traits.Load()
	if err := t.findKey("restore", key); err != nil {
		return err
	}
	r := newRequest("restore", http.MethodPost, key)
	r.query = "restore="
	doc := restoreRequest{Days: days}
	if t.restoreTier != "" {
		doc.Job = &restoreJob{t.restoreTier}
	}
	if err := r.setXML(&doc); err != nil {
		return err
	}
	_, err := b.do(ctx, r)
	return underWay(err)
}

// underWay takes out the refusals that say that nothing is left to ask for ("Error
// responses", S3 API reference).
func underWay(err error) error {
	if e, ok := errors.AsType[*objstore.Error](err); ok {
		switch e.Code {
		case "RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError":
			return nil
		}
	}
	return err
}
