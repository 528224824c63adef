package oms

import (
	"bytes"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/oms/v2/model"
	"github.com/minio/minio-go/v7"
)

// cdnKey signs requests to the domain, as Tencent Cloud's type D has it.
const cdnKey = "dimtm5evg50ijsx2hvuwyfoiu65"

// cdn is a domain in front of the source bucket, over TLS, with a log of what it served.
type cdn struct {
	*httptest.Server
	mu     sync.Mutex
	served []string
}

func (s *service) newCDN() *cdn {
	s.Helper()
	d, store := &cdn{}, s.store(s.src)
	pair, err := tls.LoadX509KeyPair(cert, key)
	s.must(err)
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("sign") != fmt.Sprintf("%x", md5.Sum([]byte(cdnKey+r.URL.EscapedPath()+q.Get("t")))) {
			http.Error(w, "not signed", http.StatusForbidden)
			return
		}
		o, err := store.GetObject(r.Context(), "photos", r.URL.Path[1:], minio.GetObjectOptions{})
		if err != nil {
			http.Error(w, "store", http.StatusBadGateway)
			return
		}
		defer func() { _ = o.Close() }()
		info, err := o.Stat()
		if err != nil {
			http.Error(w, "none", http.StatusNotFound)
			return
		}
		data, err := io.ReadAll(o)
		if err != nil {
			http.Error(w, "store", http.StatusBadGateway)
			return
		}
		if r.Header.Get("Range") == "" {
			d.mu.Lock()
			d.served = append(d.served, r.URL.Path)
			d.mu.Unlock()
		}
		w.Header().Set("ETag", `"`+info.ETag+`"`)
		w.Header().Set("Content-Type", "text/of-the-cdn")
		http.ServeContent(w, r, "", info.LastModified, bytes.NewReader(data))
	}))
	d.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	d.StartTLS()
	s.Cleanup(d.Close)
	return d
}

func (d *cdn) log() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.served)
}

func TestGoSDKReadsThroughACDN(t *testing.T) {
	t.Parallel()
	s := newService(t, "--oms-allow-host", "127.0.0.1")
	c, d := s.sdk(), s.newCDN()
	host := strings.TrimPrefix(d.URL, "https://")
	s.put("a/1 ä+.txt", "first")
	k, cloud, yes := cdnKey, "AWS", true
	via := func(key *string) *model.SourceCdnReq {
		return &model.SourceCdnReq{
			Domain: host, Protocol: model.GetSourceCdnReqProtocolEnum().HTTPS,
			AuthenticationType: model.GetSourceCdnReqAuthenticationTypeEnum().TENCENT_COS_D, AuthenticationKey: key,
		}
	}
	info, err := c.ShowCdnInfo(&model.ShowCdnInfoRequest{Body: &model.ShowCdnInfoReq{
		Ak: s.src.AccessKey, Sk: s.src.SecretKey, CloudType: cloud, Region: "us-east-1", Bucket: "photos",
		Prefix: &model.PrefixKeyInfo{Keys: []string{"a/", "none"}}, SourceCdn: via(&k),
	}})
	s.must(err)
	if keys := *info.CheckedKeys; !*info.IsSameCloudType || !*info.IsDownloadAvailable || len(keys) != 2 ||
		*keys[0].Key != "a/1 ä+.txt" || !*keys[0].IsEtagMatching || !*keys[0].IsObjectExisting || *keys[1].IsObjectExisting {
		t.Fatalf("%s", info)
	}
	create := func(key *string) (*model.CreateSyncTaskResponse, error) {
		return c.CreateSyncTask(&model.CreateSyncTaskRequest{Body: &model.CreateSyncTaskReq{
			SrcCloudType: &cloud, SrcRegion: "us-east-1", SrcBucket: "photos", SrcAk: s.src.AccessKey, SrcSk: s.src.SecretKey,
			DstRegion: "cn-north-4", DstBucket: "photos-copy", DstAk: s.dst.AccessKey, DstSk: s.dst.SecretKey,
			EnableMetadataMigration: &yes, SourceCdn: via(key),
		}})
	}
	_, err = create(nil)
	refused(t, err, 400, "OMS.1032")
	wrong := "anotherKeyAnotherKey"
	_, err = create(&wrong)
	refused(t, err, 400, "OMS.0081")
	out, err := create(&k)
	s.must(err)
	id := *out.SyncTaskId
	tasks, err := c.ListSyncTasks(&model.ListSyncTasksRequest{})
	s.must(err)
	if got := (*tasks.Tasks)[0].SourceCdn; got == nil || got.Domain != host || got.Protocol.Value() != "https" || got.AuthenticationType.Value() != "TENCENT_COS_D" {
		t.Fatalf("%s", tasks)
	}

	event := func(key string) {
		t.Helper()
		_, err := c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id, Body: &model.SyncObjectReq{ObjectKeys: []string{key}}})
		s.must(err)
	}
	event("a%2F1+%C3%A4%2B.txt")
	if k := s.settled(c, id, 1); *k.MonthlySuccessObject != 1 {
		t.Fatalf("%s", k)
	}
	got, object, ok := s.get(s.dst, "photos-copy", "a/1 ä+.txt")
	if !ok || got != "first" || object.ContentType != "text/x-test" || object.UserMetadata["Owner"] != "me" {
		t.Errorf("%q, %v, %+v", got, ok, object)
	}
	if log := d.log(); !slices.Equal(log, []string{"/a/1 ä+.txt"}) {
		t.Errorf("the domain served %q", log)
	}

	// The key is dropped at stop, and given anew.
	_, err = c.StopSyncTask(&model.StopSyncTaskRequest{SyncTaskId: id})
	s.must(err)
	body := s.startKeys()
	_, err = c.StartSyncTask(&model.StartSyncTaskRequest{SyncTaskId: id, Body: body})
	refused(t, err, 400, "OMS.1032")
	body.SourceCdnAuthenticationKey = &k
	_, err = c.StartSyncTask(&model.StartSyncTaskRequest{SyncTaskId: id, Body: body})
	s.must(err)
	s.put("second", "2")
	event("second")
	if k := s.settled(c, id, 2); *k.MonthlySuccessObject != 2 {
		t.Fatalf("%s", k)
	}
	if log := d.log(); !slices.Contains(log, "/second") {
		t.Errorf("the domain served %q", log)
	}
	if strings.Contains(s.log.String(), cdnKey) {
		t.Error("the log has the key")
	}
}
