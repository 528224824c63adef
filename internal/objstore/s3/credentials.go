package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// keys are what requests are signed with. They are never changed, only replaced.
type keys struct {
	access, secret, token string
	renew                 time.Time // when to ask for others; zero: never
}

// keyring hands out the keys of a service: given ones, none at all, or those of
// minio-go's provider chain, which are renewed when four fifths of their life are over.
type keyring struct {
	clock   func() time.Time
	current atomic.Pointer[keys]

	mu     sync.Mutex // one renewal at a time
	chain  *credentials.Credentials
	client *http.Client
	missed time.Time // when the chain last had nothing
}

// ErrNoKeys: no keys were given, and there are none where clients of S3 look for them.
var ErrNoKeys = errors.New("no access key given, and none found in environment, files or machine role")

// retryChain is how long a chain that had nothing is not asked again: it may take
// seconds to find that out.
const retryChain = 10 * time.Second

func newKeyring(cfg *Config) (*keyring, error) {
	r := &keyring{clock: cfg.Clock}
	switch {
	case cfg.Anonymous:
		r.current.Store(&keys{})
	case cfg.AccessKey != "" && cfg.SecretKey != "":
		r.current.Store(&keys{access: cfg.AccessKey, secret: cfg.SecretKey, token: cfg.SessionToken})
	case cfg.AccessKey != "" || cfg.SecretKey != "":
		return nil, errors.New("s3: access key and secret key belong together")
	default:
		r.chain = credentials.NewChainCredentials(providers())
		r.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: time.Second}).DialContext,
		}}
	}
	return r, nil
}

// providers are asked in this order. AWS_EC2_METADATA_DISABLED is the AWS SDKs'
// way to say that there is no metadata service.
func providers() []credentials.Provider {
	list := []credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{},
		&credentials.FileAWSCredentials{}, &credentials.FileMinioClient{},
	}
	if os.Getenv("AWS_EC2_METADATA_DISABLED") != "true" {
		list = append(list, &credentials.IAM{})
	}
	return list
}

// get returns the keys to sign with; an empty access key means not to sign.
func (r *keyring) get(ctx context.Context) (*keys, error) {
	k := r.current.Load()
	if k != nil && (k.renew.IsZero() || r.clock().Before(k.renew)) {
		return k, nil
	}
	return r.renew(ctx, k)
}

// renew replaces old, unless another request just did. Keys that cannot be
// renewed are used on: the store knows when they end.
func (r *keyring) renew(ctx context.Context, old *keys) (*keys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.current.Load(); k != old {
		return k, nil
	}
	if r.chain == nil {
		return old, nil
	}
	now := r.clock()
	if !r.missed.IsZero() && now.Sub(r.missed) < retryChain {
		return old, r.none(old, ErrNoKeys)
	}
	r.chain.Expire()
	v, err := r.chain.GetWithContext(&credentials.CredContext{Client: r.client, Context: ctx})
	if err == nil && v.AccessKeyID == "" {
		err = ErrNoKeys
	}
	if err != nil {
		if ctx.Err() == nil {
			r.missed = now
		}
		return old, r.none(old, err)
	}
	k := &keys{access: v.AccessKeyID, secret: v.SecretAccessKey, token: v.SessionToken}
	if !v.Expiration.IsZero() {
		k.renew = now.Add(v.Expiration.Sub(now) / 5 * 4)
	}
	r.missed = time.Time{}
	r.current.Store(k)
	return k, nil
}

// none is the error of having nothing to sign with; having old keys is none.
func (r *keyring) none(old *keys, cause error) error {
	if old != nil {
		return nil
	}
	return unsigned{cause}
}

// unsigned is why a request cannot be signed, an ErrCredentials.
type unsigned struct{ error }

func (u unsigned) Is(target error) bool { return target == objstore.ErrCredentials }
func (u unsigned) Unwrap() error        { return u.error }
