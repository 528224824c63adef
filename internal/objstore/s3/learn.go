package s3

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// lesson is what an answer can teach about how to ask. A request learns each of
// them once.
type lesson uint8

const (
	theClock lesson = 1 << iota
	theRegion
	theKeys
)

// feature is something a request can do without when the store lacks it.
type feature uint8

const (
	checksums feature = 1 << iota
	conditions
	tagging
	storageClass
)

var features = [...]struct {
	feature feature
	name    string
	hints   []string // in the store's message, lower case
	fields  []string // how the names of its fields begin
}{
	{checksums, "checksums", []string{"checksum", "crc64"}, []string{"x-amz-checksum-", "x-amz-sdk-checksum-"}},
	{conditions, "conditional writes", []string{"if-none-match", "if-match", "conditional"}, []string{"If-None-Match", "If-Match"}},
	{tagging, "tags on writes", []string{"tagging"}, []string{"x-amz-tagging"}},
	{storageClass, "storage class", []string{"storage class", "storage-class", "storageclass"}, []string{"x-amz-storage-class"}},
}

// learn reads from a refusal how to ask better and reports whether to ask again.
// An error says that it knows better now, but the body is gone.
func (b *Bucket) learn(ctx context.Context, r *request, ref *refusal, p *place, k *keys) (bool, error) {
	switch {
	case b.learnClock(r, ref), b.learnRegion(r, ref, p), b.learnKeys(ctx, r, ref, k):
	case r.encrypts && refusesEncryption(ref):
		return false, nil
	default:
		f, lasting := refusedFeature(ref, r.uses&^r.dropped)
		if f == 0 {
			return false, nil
		}
		r.drop(f)
		if lasting {
			r.lasting |= f
		}
	}
	if r.rewind() {
		return true, nil
	}
	if r.encrypts && refusesSomething(ref) {
		return false, nil
	}
	b.keep(r)
	return false, &objstore.Error{
		Kind: objstore.ErrUnavailable, Op: r.op, Key: r.key, Status: ref.status, Code: ref.code,
		Message: "may be sent otherwise now: " + b.redact(ref.message), RequestID: ref.id,
	}
}

// learnClock takes over the store's clock when it says ours differs too much. A
// HEAD is refused without words; there the dates speak.
func (b *Bucket) learnClock(r *request, ref *refusal) bool {
	if r.learned&theClock != 0 || ref.status != http.StatusForbidden || ref.code != "RequestTimeTooSkewed" && ref.code != "" {
		return false
	}
	date, err := http.ParseTime(ref.header.Get("Date"))
	if err != nil {
		return false
	}
	ahead := date.Sub(b.svc.cfg.Clock())
	if ref.code == "" && (ahead-time.Duration(b.svc.skew.Load())).Abs() < 10*time.Minute {
		return false
	}
	r.learned |= theClock
	b.svc.skew.Store(int64(ahead))
	b.svc.log.Warn("clock differs from the store's", "store", b.svc.identity(), "ahead", ahead.Round(time.Second))
	return true
}

// learnRegion signs for the region the store names, and remembers it.
func (b *Bucket) learnRegion(r *request, ref *refusal, p *place) bool {
	switch ref.status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusForbidden:
	default:
		return false
	}
	region := ref.header.Get("X-Amz-Bucket-Region")
	if region == "" {
		region = ref.region
	}
	if r.learned&theRegion != 0 || region == p.region || !validRegion(region) {
		return false
	}
	r.learned |= theRegion
	if b.place.CompareAndSwap(p, p.in(region)) {
		b.svc.log.Info("bucket is in another region", "bucket", b.name, "region", region, "assumed", p.region)
	}
	return true
}

// validRegion keeps what a store answers from becoming more than one label of a
// host name.
func validRegion(s string) bool {
	return s != "" && len(s) < 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// learnKeys asks the chain for other keys when these have ended.
func (b *Bucket) learnKeys(ctx context.Context, r *request, ref *refusal, k *keys) bool {
	switch ref.code {
	case "ExpiredToken", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId":
	default:
		return false
	}
	if r.learned&theKeys != 0 {
		return false
	}
	r.learned |= theKeys
	fresh, err := b.svc.keys.renew(ctx, k)
	return err == nil && *fresh != *k
}

// refusedFeature returns which of the features in use the refusal is about, 0
// when it is about something else; lasting says that the store lacks it
// altogether, and does not only dislike this value.
func refusedFeature(ref *refusal, used feature) (f feature, lasting bool) {
	if used == 0 {
		return 0, false
	}
	unknown := ref.status == http.StatusNotImplemented
	switch ref.code {
	case "InvalidStorageClass":
		return used & storageClass, false
	case "InvalidTag":
		return used & tagging, false
	case "NotImplemented", "InvalidArgument", "InvalidRequest", "InvalidHeader", "UnsupportedHeader", "UnsupportedOperation", "BadRequest":
	default:
		if !unknown {
			return 0, false
		}
	}
	said := strings.ToLower(ref.message)
	for _, f := range features {
		for _, hint := range f.hints {
			if used&f.feature != 0 && strings.Contains(said, hint) {
				return f.feature, f.feature != storageClass
			}
		}
	}
	if unknown {
		return used & -used, true // the store does not say which: one after the other
	}
	return 0, false
}

// drop takes a feature's fields out of the request.
func (r *request) drop(f feature) {
	r.dropped |= f
	kept := r.fields[:0]
	for _, field := range r.fields {
		if featureOf(field.name)&r.dropped == 0 {
			kept = append(kept, field)
		}
	}
	r.fields = kept
}

func featureOf(name string) feature {
	for _, f := range features {
		for _, prefix := range f.fields {
			if strings.HasPrefix(name, prefix) {
				return f.feature
			}
		}
	}
	return 0
}

// keep makes what the store turned out to lack count for all requests that follow.
func (b *Bucket) keep(r *request) {
	if r.lasting == 0 {
		return
	}
	for _, f := range features {
		if r.lasting&f.feature != 0 {
			b.unlearn(r.op, f.name, func(t *traits) { t.forget(f.feature, r.op) })
		}
	}
}

// unlearn replaces the bucket's traits, and says so once.
func (b *Bucket) unlearn(op, what string, change func(*traits)) {
	for {
		old := b.traits.Load()
		t := *old
		change(&t)
		if t.same(old) {
			return
		}
		if b.traits.CompareAndSwap(old, &t) {
			break
		}
	}
	b.svc.log.Warn("store does not have it; going on without", "feature", what, "bucket", b.name, "request", op)
}

// same reports whether nothing that can be unlearned differs.
func (t *traits) same(o *traits) bool {
	return t.Capabilities == o.Capabilities && t.checksumPart == o.checksumPart && t.tagsOnPut == o.tagsOnPut &&
		t.condCopy == o.condCopy && t.condDelete == o.condDelete && t.listV1 == o.listV1 &&
		t.noDeleteMany == o.noDeleteMany
}

// forget turns a feature off. Conditions are forgotten for the kind of request
// that was refused: stores that judge them in Put may not in the others.
func (t *traits) forget(f feature, op string) {
	switch {
	case f == checksums:
		t.ChecksumPut, t.ChecksumComplete, t.checksumPart = false, false, false
	case f == tagging:
		t.tagsOnPut = false
	case op == "copy":
		t.condCopy = false
	case op == "delete":
		t.condDelete = false
	default:
		t.Conditional, t.condCopy = objstore.ConditionalNone, false
	}
}

// learnServer takes the store's word for what it is, when nobody said and the
// host does not tell.
func (b *Bucket) learnServer(h http.Header) {
	if !b.guessed || b.traits.Load().Provider != generic {
		return
	}
	provider := guessServer(h.Get("Server"))
	if provider == "" {
		return
	}
	t, err := traitsOf(provider, "", b.override)
	if err != nil {
		return
	}
	b.traits.Store(t)
	b.svc.log.Debug("store recognized", "provider", provider, "bucket", b.name)
}
