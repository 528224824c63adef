package bare

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	peer "github.com/minio/minio-go/v7/pkg/signer"
)

// An independent signer must come to the same signatures, or real servers refuse ours.
func TestSignatureAgreesWithMinioGo(t *testing.T) {
	t.Parallel()
	ours := signer{access: "access", secret: "secret"}
	for name, in := range map[string]call{
		"list":          {method: "GET", path: "/bucket", query: "continuation-token=a%2Fb%3D&list-type=2&max-keys=1000"},
		"get":           {method: "GET", path: "/bucket/p01/obj-000001.bin"},
		"put":           {method: "PUT", path: "/bucket/key", size: 5},
		"strange key":   {method: "PUT", path: "/bucket/a b+c/é//~._-%41*", size: 5},
		"copy":          {method: "PUT", path: "/bucket/key", copySource: "/other/a%20b"},
		"delete":        {method: "DELETE", path: "/bucket/key"},
		"create bucket": {method: "PUT", path: "/bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := escape(in.path, true)
			req, err := http.NewRequestWithContext(t.Context(), in.method, "http://127.0.0.1:9000"+path+"?"+in.query, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			hash := emptyHash
			if in.size > 0 {
				hash = unsigned
			}
			req.Header.Set("X-Amz-Content-Sha256", hash)
			if in.copySource != "" {
				req.Header.Set("X-Amz-Copy-Source", in.copySource)
			}
			want := peer.SignV4(*req, "access", "secret", "", region).Header

			now, err := time.Parse("20060102T150405Z", want.Get("X-Amz-Date"))
			if err != nil {
				t.Fatal(err)
			}
			got := http.Header{}
			ours.sign(got, "127.0.0.1:9000", path, in, now)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers differ (-minio-go +ours):\n%s", diff)
			}
		})
	}
}
