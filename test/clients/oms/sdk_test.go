package oms

import (
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/httphandler"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	oms "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/oms/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/oms/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/oms/v2/region"
)

// sdk is the official client with an endpoint and a project id.
func (s *service) sdk(cfg ...*config.HttpConfig) *oms.OmsClient {
	s.Helper()
	auth, err := basic.NewCredentialsBuilder().WithAk(accessKey).WithSk(secretKey).WithProjectId(project).SafeBuild()
	s.must(err)
	b := oms.OmsClientBuilder().WithEndpoint(s.url).WithCredential(auth)
	for _, c := range cfg {
		b = b.WithHttpConfig(c)
	}
	hc, err := b.SafeBuild()
	s.must(err)
	return oms.NewOmsClient(hc)
}

// refused wants an error of the service.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *sdkerr.ServiceResponseError
	if !errors.As(err, &e) || e.StatusCode != status || e.ErrorCode != code || e.RequestId == "" || e.ErrorMessage == "" {
		t.Fatalf("%+v, want %d %s", err, status, code)
	}
}

func (s *service) newTask(c *oms.OmsClient, bucket string) string {
	s.Helper()
	cloud, text := "AWS", "made by the SDK"
	out, err := c.CreateSyncTask(&model.CreateSyncTaskRequest{Body: &model.CreateSyncTaskReq{
		SrcCloudType: &cloud, SrcRegion: "us-east-1", SrcBucket: "photos", SrcAk: s.src.AccessKey, SrcSk: s.src.SecretKey,
		DstRegion: "cn-north-4", DstBucket: bucket, DstAk: s.dst.AccessKey, DstSk: s.dst.SecretKey, Description: &text,
	}})
	s.must(err)
	if out.HttpStatusCode != 200 || out.SyncTaskId == nil {
		s.Fatalf("%+v", out)
	}
	return *out.SyncTaskId
}

func (s *service) shown(c *oms.OmsClient, id string) *model.ShowSyncTaskResponse {
	s.Helper()
	k, err := c.ShowSyncTask(&model.ShowSyncTaskRequest{SyncTaskId: id, QueryTime: time.Now().UnixMilli()})
	s.must(err)
	return k
}

// settled waits until n objects were requested and all have ended.
func (s *service) settled(c *oms.OmsClient, id string, n int64) *model.ShowSyncTaskResponse {
	s.Helper()
	for range 600 {
		k := s.shown(c, id)
		if ended := *k.MonthlySuccessObject + *k.MonthlyFailureObject + *k.MonthlySkipObject; *k.MonthlyAcceptanceRequest >= n && ended == *k.MonthlyAcceptanceRequest {
			return k
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.Context().Done():
		}
	}
	s.Fatalf("task %s does not settle", id)
	return nil
}

func TestGoSDKRunsTheWholeLifeOfATask(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.sdk()
	for _, k := range []string{"test/001.txt", "test+001.txt", "test 001.txt", "raw+name.txt"} {
		s.put(k, "data of "+k)
	}
	s.nextSecond() // equal times are copied again, and this store has whole seconds
	id := s.newTask(c, "photos-copy")

	events := func(keys ...string) error {
		_, err := c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id, Body: &model.SyncObjectReq{ObjectKeys: keys}})
		return err
	}
	s.must(events("test%2F001.txt"))
	s.must(events("test%2B001.txt"))
	s.must(events("test+001.txt", "raw+name.txt", "not-there"))
	k := s.settled(c, id, 6)
	if *k.MonthlySuccessObject != 4 || *k.MonthlyFailureObject != 1 || *k.MonthlySkipObject != 1 || k.Status.Value() != "SYNCHRONIZING" ||
		k.SrcCloudType.Value() != "AWS" || *k.Description != "made by the SDK" || k.ObjectOverwriteMode.Value() != "SIZE_LAST_MODIFIED_COMPARISON_OVERWRITE" {
		t.Fatalf("%s", k)
	}
	for _, name := range []string{"test/001.txt", "test+001.txt", "test 001.txt", "raw+name.txt"} {
		got, info, ok := s.get(s.dst, "photos-copy", name)
		if !ok || got != "data of "+name || info.ContentType != "text/x-test" || len(info.UserMetadata) != 0 {
			t.Errorf("%s: %q, type %q, metadata %v", name, got, info.ContentType, info.UserMetadata)
		}
	}
	s.seesStatistics(c, id, k)

	// The same objects again: the destination is later, so they are ignored.
	s.must(events("test%2F001.txt", "test%2F001.txt"))
	if k := s.settled(c, id, 8); *k.MonthlySkipObject != 3 {
		t.Fatalf("%s", k)
	}

	// States, with the codes that programs match.
	_, err := c.StartSyncTask(&model.StartSyncTaskRequest{SyncTaskId: id, Body: s.startKeys()})
	refused(t, err, 400, "OMS.0065")
	_, err = c.DeleteSyncTask(&model.DeleteSyncTaskRequest{SyncTaskId: id})
	refused(t, err, 400, "OMS.0063")
	stopped, err := c.StopSyncTask(&model.StopSyncTaskRequest{SyncTaskId: id})
	s.must(err)
	if stopped.HttpStatusCode != 200 || s.shown(c, id).Status.Value() != "STOPPED" {
		t.Fatal("not stopped when the answer was there")
	}
	refused(t, events("test%2F001.txt"), 400, "OMS.1036")
	_, err = c.StopSyncTask(&model.StopSyncTaskRequest{SyncTaskId: id})
	refused(t, err, 400, "OMS.0066")
	_, err = c.StartSyncTask(&model.StartSyncTaskRequest{SyncTaskId: id, Body: s.startKeys()})
	s.must(err)
	if s.shown(c, id).Status.Value() != "SYNCHRONIZING" {
		t.Fatal("not started when the answer was there")
	}

	tasks, err := c.ListSyncTasks(&model.ListSyncTasksRequest{})
	s.must(err)
	if *tasks.Count != 1 || len(*tasks.Tasks) != 1 || *(*tasks.Tasks)[0].SyncTaskId != id {
		t.Fatalf("%s", tasks)
	}
	s.seesLists(c, id)
	_, err = c.DeleteSyncTask(&model.DeleteSyncTaskRequest{SyncTaskId: id})
	s.must(err)
	_, err = c.ShowSyncTask(&model.ShowSyncTaskRequest{SyncTaskId: id, QueryTime: 1})
	refused(t, err, 404, "OMS.1009")
}

// seesLists stops the task, which ends its batch, reads its lists, and feeds the failed
// one back. The task is stopped then.
func (s *service) seesLists(c *oms.OmsClient, id string) {
	s.Helper()
	stop := func() {
		_, err := c.StopSyncTask(&model.StopSyncTaskRequest{SyncTaskId: id})
		s.must(err)
	}
	stop()
	k := s.shown(c, id)
	lines, failed := s.countLines(id)
	if lines["object_lists"] != *k.MonthlyAcceptanceRequest || lines["success_object_lists"] != *k.MonthlySuccessObject ||
		lines["failed_object_lists"] != *k.MonthlyFailureObject || lines["skip_object_lists"] != *k.MonthlySkipObject {
		s.Fatalf("lists have %v lines, counted are %s", lines, k)
	}
	columns := strings.Split(strings.TrimSpace(failed), "\t")
	if len(columns) != 5 || columns[2] != "not-there" || columns[3] != "not-there" || !strings.HasPrefix(columns[4], "GET_SRC_OBJ_META_FAILURE") {
		s.Fatalf("failed list: %q", failed)
	}
	s.put("not-there", "late")
	_, err := c.StartSyncTask(&model.StartSyncTaskRequest{SyncTaskId: id, Body: s.startKeys()})
	s.must(err)
	_, err = c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id, Body: &model.SyncObjectReq{ObjectKeys: []string{columns[2]}}})
	s.must(err)
	s.settled(c, id, *k.MonthlyAcceptanceRequest+1)
	if got, _, ok := s.get(s.dst, "photos-copy", "not-there"); !ok || got != "late" {
		s.Fatalf("fed back: %q", got)
	}
	stop()
}

// batchFile is a list as OMS names it: directory, batch, time, kind.
var batchFile = regexp.MustCompile(`^([a-z_]+_lists)/photos-photos-copy-[0-9]{17}_[0-9]{3}/[0-9]{13}(\.success_list|\.failed_list|\.skip_list)?\.txt$`)

// countLines counts the lines of all lists by directory, and returns the failed ones.
func (s *service) countLines(id string) (lines map[string]int64, failed string) {
	s.Helper()
	lines = map[string]int64{}
	for name, text := range s.lists("photos-copy", "oms/sync_task/"+id+"/", "success_object_lists/", "failed_object_lists/", "skip_object_lists/", "object_lists/") {
		m := batchFile.FindStringSubmatch(name)
		if m == nil {
			if !strings.HasSuffix(name, ".manifest.json") {
				s.Errorf("list %s", name)
			}
			continue
		}
		lines[m[1]] += int64(strings.Count(text, "\n"))
		if m[1] == "failed_object_lists" {
			failed += text
		}
	}
	return lines, failed
}

// nextSecond waits until the clock is in another second.
func (s *service) nextSecond() {
	s.Helper()
	select {
	case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(1100 * time.Millisecond))):
	case <-s.Context().Done():
	}
}

func (s *service) startKeys() *model.StartSyncTaskReq {
	return &model.StartSyncTaskReq{SrcAk: s.src.AccessKey, SrcSk: s.src.SecretKey, DstAk: s.dst.AccessKey, DstSk: s.dst.SecretKey}
}

func (s *service) seesStatistics(c *oms.OmsClient, id string, k *model.ShowSyncTaskResponse) {
	s.Helper()
	all := model.ListSyncTaskStatisticRequestDataType{}
	s.must(all.UnmarshalJSON([]byte(`"REQUEST,SUCCESS,FAILURE,SKIP,SIZE"`)))
	now := time.Now().UnixMilli()
	for width, from := range map[string]int64{"FIVE_MINUTES": now - 3_600_000, "ONE_HOUR": now - 30*24*3_600_000} {
		out, err := c.ListSyncTaskStatistic(&model.ListSyncTaskStatisticRequest{SyncTaskId: id, DataType: all, StartTime: from, EndTime: now + 1})
		s.must(err)
		sums := map[string]int64{}
		for _, d := range *out.StatisticDatas {
			for _, p := range *d.Data {
				sums[d.DataType.Value()] += *p.StatisticNum
			}
		}
		if out.StatisticTimeType.Value() != width || sums["REQUEST"] != *k.MonthlyAcceptanceRequest || sums["SUCCESS"] != *k.MonthlySuccessObject ||
			sums["FAILURE"] != *k.MonthlyFailureObject || sums["SKIP"] != *k.MonthlySkipObject || sums["SIZE"] != *k.MonthlySize {
			s.Errorf("%s: %v, want those of %s", width, sums, k)
		}
	}
}

// A program that asks before it makes a task gets true answers.
func TestGoSDKFindsStoresRegionsAndBuckets(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.sdk()
	s.put("dir/one", "1")
	s.put("two", "22")
	ak, sk := s.src.AccessKey, s.src.SecretKey

	kinds, err := c.ShowCloudType(&model.ShowCloudTypeRequest{Type: "src"})
	s.must(err)
	if !slices.Equal(*kinds.Body, []string{"AWS", "HEC"}) {
		t.Errorf("%v", *kinds.Body)
	}
	regions, err := c.ShowRegionInfo(&model.ShowRegionInfoRequest{})
	s.must(err)
	if len(*regions.Body) != 2 || *(*(*regions.Body)[1].RegionList)[0].Value != "cn-north-4" {
		t.Errorf("%v", regions)
	}
	buckets, err := c.ShowBucketList(&model.ShowBucketListRequest{Body: &model.ListBucketsReq{CloudType: "AWS", Ak: &ak, Sk: &sk}})
	s.must(err)
	if !slices.Equal(*buckets.Body, []string{"photos"}) {
		t.Errorf("%v", *buckets.Body)
	}
	bad := "wrong"
	_, err = c.ShowBucketList(&model.ShowBucketListRequest{Body: &model.ListBucketsReq{CloudType: "AWS", Ak: &ak, Sk: &bad}})
	refused(t, err, 400, "OMS.0153")
	objects, err := c.ShowBucketObjects(&model.ShowBucketObjectsRequest{Body: &model.ShowBucketReq{CloudType: "AWS", DataCenter: "us-east-1", BucketName: "photos", PageSize: 10, Ak: &ak, Sk: &sk}})
	s.must(err)
	if r := *objects.Records; len(r) != 2 || *r[0].Name != "dir/" || *r[0].Size != "--" || *r[1].Name != "two" || *r[1].Size != "2" || *objects.NextPage {
		t.Errorf("%s", objects)
	}
	where, err := c.ShowBucketRegion(&model.ShowBucketRegionRequest{Body: &model.ShowBucketRegionReq{CloudType: "AWS", BucketName: "photos", Ak: &ak, Sk: &sk}})
	s.must(err)
	if *where.Id != "us-east-1" || !*where.Support {
		t.Errorf("%s", where)
	}
	for name, want := range map[string]bool{"dir/": true, "none/": false} {
		out, err := c.CheckPrefix(&model.CheckPrefixRequest{Body: &model.CheckPrefixReq{CloudType: "AWS", DataCenter: "us-east-1", BucketName: "photos", FileName: name, Ak: &ak, Sk: &sk}})
		s.must(err)
		if *out.Exist != want {
			t.Errorf("%s: %v", name, *out.Exist)
		}
	}
	versions, err := c.ListApiVersions(&model.ListApiVersionsRequest{})
	s.must(err)
	if v := *versions.Versions; len(v) != 1 || *v[0].Id != "v2" {
		t.Errorf("%s", versions)
	}
	one, err := c.ShowApiInfo(&model.ShowApiInfoRequest{Version: "v2"})
	s.must(err)
	if *one.Id != "v2" {
		t.Errorf("%s", one)
	}
	_, err = c.UpdatePrivacyAgreementRecord(&model.UpdatePrivacyAgreementRecordRequest{})
	s.must(err)
	_, err = c.ListTasks(&model.ListTasksRequest{})
	refused(t, err, 404, "APIGW.0101")
	_, err = c.ListTaskGroup(&model.ListTaskGroupRequest{})
	refused(t, err, 404, "APIGW.0101")
}

// TestGoSDKWithoutATaskID: the API page's sample sets none. The SDK takes a redirect for
// success, and would believe the event taken.
func TestGoSDKWithoutATaskID(t *testing.T) {
	t.Parallel()
	s := newService(t)
	c := s.sdk()
	for _, id := range []string{"", ".", "..", "a/b", "a%2Fb"} {
		_, err := c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id, Body: &model.SyncObjectReq{ObjectKeys: []string{"a"}}})
		if err == nil {
			t.Fatalf("id %q: taken for success", id)
		}
		var e *sdkerr.ServiceResponseError
		if !errors.As(err, &e) || e.StatusCode != 404 && e.StatusCode != 401 || e.ErrorCode == "" {
			t.Errorf("id %q: %v", id, err)
		}
	}
	// Without keys, and without a body.
	id := s.newTask(c, "photos-copy")
	_, err := c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id, Body: &model.SyncObjectReq{}})
	refused(t, err, 400, "OMS.1004")
	_, err = c.CreateSyncEvents(&model.CreateSyncEventsRequest{SyncTaskId: id})
	refused(t, err, 400, "OMS.1004")
	// A request handler makes the SDK send empty bodies in chunks.
	handled := s.sdk(config.DefaultHttpConfig().WithHttpHandler(httphandler.NewHttpHandler().AddRequestHandler(func(http.Request) {})))
	_, err = handled.StopSyncTask(&model.StopSyncTaskRequest{SyncTaskId: id})
	s.must(err)
}

// TestGoSDKWithoutAProjectID: with an endpoint nothing is discovered, and the path has
// the template's braces.
func TestGoSDKWithoutAProjectID(t *testing.T) {
	t.Parallel()
	s := newService(t)
	auth, err := basic.NewCredentialsBuilder().WithAk(accessKey).WithSk(secretKey).SafeBuild()
	s.must(err)
	hc, err := oms.OmsClientBuilder().WithEndpoint(s.url).WithCredential(auth).SafeBuild()
	s.must(err)
	_, err = oms.NewOmsClient(hc).ListSyncTasks(&model.ListSyncTasksRequest{})
	refused(t, err, 400, "OMS.1004")
	if !strings.Contains(err.Error(), "project id") {
		t.Errorf("%v", err)
	}
}

// A program of the API page's style names a region and no project; the environment
// leads it here.
func TestGoSDKProgramWithARegionOnly(t *testing.T) {
	s := newService(t, "--tls-cert", cert, "--tls-key", key)
	t.Setenv("HUAWEICLOUD_SDK_REGION_OMS_CN_NORTH_4", s.url)
	t.Setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", s.address)
	t.Setenv("CLOUD_SDK_AK", accessKey)
	t.Setenv("CLOUD_SDK_SK", secretKey)

	// As the page has it, but for the task's id.
	auth, err := basic.NewCredentialsBuilder().WithAk(os.Getenv("CLOUD_SDK_AK")).WithSk(os.Getenv("CLOUD_SDK_SK")).SafeBuild()
	s.must(err)
	where, err := region.SafeValueOf("cn-north-4")
	s.must(err)
	hc, err := oms.OmsClientBuilder().WithRegion(where).WithCredential(auth).SafeBuild()
	s.must(err)
	client := oms.NewOmsClient(hc)

	id := s.newTask(client, "more")
	s.put("a", "1")
	request := &model.CreateSyncEventsRequest{SyncTaskId: id}
	request.Body = &model.SyncObjectReq{ObjectKeys: []string{"a"}}
	response, err := client.CreateSyncEvents(request)
	s.must(err)
	if response.HttpStatusCode != 200 {
		t.Fatalf("%+v", response)
	}
	s.settled(client, id, 1)
	if got, _, ok := s.get(s.dst, "more", "a"); !ok || got != "1" {
		t.Fatalf("%q", got)
	}
}
