// Command go9 drives Lockstep with the official Go client of Elasticsearch, as it is
// published: every call of the Connector APIs, typed, and how it reads errors. It prints
// what is not as it should be and exits 1.
//
// LOCKSTEP_URL, LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY say whom to ask, LOCKSTEP_TASK
// is the id of a task of the same project.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	elasticsearch "github.com/elastic/go-elasticsearch/v9"
	"github.com/elastic/go-elasticsearch/v9/typedapi/connector/lastsync"
	"github.com/elastic/go-elasticsearch/v9/typedapi/connector/put"
	"github.com/elastic/go-elasticsearch/v9/typedapi/connector/syncjobclaim"
	"github.com/elastic/go-elasticsearch/v9/typedapi/connector/syncjoberror"
	"github.com/elastic/go-elasticsearch/v9/typedapi/connector/syncjobpost"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/syncjobtype"
	"github.com/elastic/go-elasticsearch/v9/typedapi/types/enums/syncstatus"
)

// run is one client at its work.
type run struct {
	es     *elasticsearch.TypedClient
	ctx    context.Context
	failed int
}

func (r *run) check(what string, fine bool, got ...any) {
	if !fine {
		r.failed++
		fmt.Println("not as it should be:", what, fmt.Sprintf("%+v", got))
	}
}

// must ends the program: what comes after would only repeat the same.
func (r *run) must(what string, err error) {
	if err != nil {
		fmt.Println("failed:", what, err)
		os.Exit(1)
	}
}

// refused wants an error that the client reads as Elasticsearch's.
func (r *run) refused(what string, err error, status int, kind, reason string) {
	var e *types.ElasticsearchError
	if !errors.As(err, &e) {
		r.check(what+" is an ElasticsearchError", false, err)
		return
	}
	text := ""
	if e.ErrorCause.Reason != nil {
		text = *e.ErrorCause.Reason
	}
	r.check(what, e.Status == status && e.ErrorCause.Type == kind && strings.Contains(text, reason) && len(e.ErrorCause.RootCause) == 1, e.Status, e.ErrorCause.Type, text)
}

func text[T ~string](s *T) string {
	if s == nil {
		return "(none)"
	}
	return string(*s)
}

func ptr[T any](v T) *T { return &v }

func client(key string) *elasticsearch.TypedClient {
	es, err := elasticsearch.NewTypedClient(elasticsearch.Config{Addresses: []string{os.Getenv("LOCKSTEP_URL")}, APIKey: key, DisableRetry: true})
	if err != nil {
		fmt.Println("failed: make the client:", err)
		os.Exit(1)
	}
	return es
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	key := base64.StdEncoding.EncodeToString([]byte(os.Getenv("LOCKSTEP_ACCESS_KEY") + ":" + os.Getenv("LOCKSTEP_SECRET_KEY")))
	r := &run{es: client(key), ctx: ctx}
	r.connectors()
	r.updates()
	r.lastSync()
	r.jobs()
	r.managed(os.Getenv("LOCKSTEP_TASK"))
	r.elsewhere()
	r.strangers()
	r.teardown()
	if r.failed > 0 {
		cancel()
		os.Exit(1)
	}
	fmt.Println("ok")
}

func (r *run) connectors() {
	made, err := r.es.Connector.Put().ConnectorId("my-connector").Request(&put.Request{
		IndexName: ptr("search-google-drive"), Name: ptr("My Connector"), ServiceType: ptr("google_drive"),
	}).Do(r.ctx)
	r.must("put", err)
	r.check("put", made.Id == "my-connector" && made.Result.Name == "created", made)
	again, err := r.es.Connector.Put().ConnectorId("my-connector").Request(&put.Request{
		IndexName: ptr("search-google-drive"), Name: ptr("My Connector"), ServiceType: ptr("google_drive"),
	}).Do(r.ctx)
	r.must("put again", err)
	r.check("put again", again.Result.Name == "updated", again)
	empty, err := r.es.Connector.Put().ConnectorId("empty").Do(r.ctx)
	r.must("put without a body", err)
	r.check("put without a body", empty.Result.Name == "created", empty)
	posted, err := r.es.Connector.Post().Do(r.ctx)
	r.must("post", err)
	r.check("post", len(posted.Id) == 20, posted)
	got, err := r.es.Connector.Get("my-connector").Do(r.ctx)
	r.must("get", err)
	r.check("get", text(got.Id) == "my-connector" && text(got.IndexName) == "search-google-drive" && text(got.Name) == "My Connector" &&
		got.Status.Name == "created" && got.Error == nil && got.LastSyncStatus == nil && len(got.Filtering) == 1 && !got.Deleted, got)
	list, err := r.es.Connector.List().ServiceType("google_drive").Size(1).Do(r.ctx)
	r.must("list", err)
	r.check("list", list.Count == 1 && len(list.Results) == 1 && text(list.Results[0].Id) == "my-connector", list)
	_, err = r.es.Connector.Get("nowhere").Do(r.ctx)
	r.refused("get of an unknown id", err, 404, "resource_not_found_exception", "connector [nowhere] not found")
	_, err = r.es.Connector.Put().ConnectorId("bad").Request(&put.Request{IndexName: ptr("Upper Case")}).Do(r.ctx)
	r.refused("bad index name", err, 400, "action_request_validation_exception", "Upper Case")
	_, err = r.es.Connector.Put().ConnectorId("twice").Request(&put.Request{IndexName: ptr("search-google-drive")}).Do(r.ctx)
	r.refused("index name twice", err, 400, "status_exception", "Index name [search-google-drive] is used by another connector.")
	for _, id := range []string{"empty", posted.Id} {
		gone, err := r.es.Connector.Delete(id).Do(r.ctx)
		r.must("delete", err)
		r.check("delete", gone.Acknowledged, gone)
	}
	_, err = r.es.Connector.Get("empty").Do(r.ctx)
	r.refused("get of a deleted connector", err, 404, "resource_not_found_exception", "empty")
}

// updates sends the bodies of the reference pages as they are printed.
func (r *run) updates() {
	const id = "my-connector"
	c := r.es.Connector
	body := strings.NewReader
	for what, do := range map[string]func() (string, error){
		"name": func() (string, error) {
			x, err := c.UpdateName(id).Raw(body(`{"name":"Custom connector","description":"This is my customized connector"}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"scheduling": func() (string, error) {
			x, err := c.UpdateScheduling(id).Raw(body(`{"scheduling":{"access_control":{"enabled":true,"interval":"0 10 0 * * ?"},"full":{"enabled":true,"interval":"0 20 0 * * ?"},"incremental":{"enabled":false,"interval":"0 30 0 * * ?"}}}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"pipeline": func() (string, error) {
			x, err := c.UpdatePipeline(id).Raw(body(`{"pipeline":{"extract_binary_content":true,"name":"my-connector-pipeline","reduce_whitespace":true,"run_ml_inference":true}}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"api key": func() (string, error) {
			x, err := c.UpdateApiKeyId(id).Raw(body(`{"api_key_id":"my-api-key-id","api_key_secret_id":"my-connector-secret-id"}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"features": func() (string, error) {
			x, err := c.UpdateFeatures(id).Raw(body(`{"features":{"document_level_security":{"enabled":true},"incremental_sync":{"enabled":true},"sync_rules":{"advanced":{"enabled":false},"basic":{"enabled":true}}}}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"filtering": func() (string, error) {
			x, err := c.UpdateFiltering(id).Raw(body(`{"rules":[{"field":"file_extension","id":"exclude-txt-files","order":0,"policy":"exclude","rule":"equals","value":"txt"},{"field":"_","id":"DEFAULT","order":1,"policy":"include","rule":"regex","value":".*"}]}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
		"index name": func() (string, error) {
			x, err := c.UpdateIndexName(id).Raw(body(`{"index_name":"data-from-my-google-drive"}`)).Do(r.ctx)
			if err != nil {
				return "", err
			}
			return x.Result.Name, nil
		},
	} {
		result, err := do()
		r.must("update "+what, err)
		r.check("update "+what, result == "updated", result)
	}
	_, err := c.UpdateFilteringValidation(id).Raw(body(`{"validation":{"errors":[],"state":"valid"}}`)).Do(r.ctx)
	r.must("validate filtering", err)
	_, err = c.UpdateActiveFiltering(id).Do(r.ctx)
	r.must("activate filtering", err)
	_, err = c.UpdateStatus(id).Raw(body(`{"status":"needs_configuration"}`)).Do(r.ctx)
	r.must("status", err)
	_, err = c.UpdateConfiguration(id).Raw(body(`{"configuration":{"service_account_credentials":{"label":"Credentials","type":"str","sensitive":true,"required":true,"order":1,"value":"{}"}}}`)).Do(r.ctx)
	r.must("configuration", err)
	_, err = c.UpdateConfiguration(id).Raw(body(`{"values":{"service_account_credentials":"{\"a\":1}"}}`)).Do(r.ctx)
	r.must("configuration values", err)
	_, err = c.UpdateStatus(id).Raw(body(`{"status":"needs_configuration"}`)).Do(r.ctx)
	r.must("status", err)
	_, err = c.UpdateStatus(id).Raw(body(`{"status":"connected"}`)).Do(r.ctx)
	r.refused("transition", err, 400, "status_exception", "Invalid transition attempt from [needs_configuration] to [connected].")
	_, err = c.UpdateNative(id).Raw(body(`{"is_native":true}`)).Do(r.ctx)
	r.refused("native with a foreign index", err, 400, "status_exception", "content-")
	_, err = c.UpdateServiceType(id).Raw(body(`{"service_type":"sharepoint_online"}`)).Do(r.ctx)
	r.must("service type", err)
	_, err = c.UpdateError(id).Raw(body(`{"error":"Houston, we have a problem!"}`)).Do(r.ctx)
	r.must("error", err)
	got, err := c.Get(id).Do(r.ctx)
	r.must("get", err)
	r.check("after the updates", got.Status.Name == "error" && text(got.Error) == "Houston, we have a problem!" && text(got.ServiceType) == "sharepoint_online" &&
		text(got.Description) == "This is my customized connector" && got.Pipeline != nil && got.Pipeline.Name == "my-connector-pipeline" &&
		got.Scheduling.Full.Enabled && got.Features != nil && len(got.Filtering[0].Active.Rules) == 2 && len(got.Configuration) == 1, got)
	_, err = c.UpdateError(id).Raw(body(`{"error":null}`)).Do(r.ctx)
	r.must("clear the error", err)
	got, err = c.Get(id).Do(r.ctx)
	r.must("get", err)
	r.check("a cleared error is absent", got.Error == nil && got.Status.Name == "connected", got.Error)
	seen := got.LastSeen
	_, err = c.CheckIn(id).Do(r.ctx)
	r.must("check in", err)
	got, err = c.Get(id).Do(r.ctx)
	r.must("get", err)
	r.check("check in sets last_seen", seen == nil && got.LastSeen != nil, got.LastSeen)
	_, err = c.CheckIn("").Do(r.ctx)
	r.check("an empty id is refused", err != nil)
}

func (r *run) lastSync() {
	const id = "my-connector"
	out, err := r.es.Connector.LastSync(id).Request(&lastsync.Request{
		LastAccessControlSyncError: ptr("Houston, we have a problem"), LastAccessControlSyncScheduledAt: "2023-11-09T15:13:08.231Z",
		LastAccessControlSyncStatus: &syncstatus.Pending, LastDeletedDocumentCount: ptr(int64(42)), LastIncrementalSyncScheduledAt: "2023-11-09T15:13:08.231Z",
		LastIndexedDocumentCount: ptr(int64(42)), LastSyncError: ptr("Houston, we have a problem"), LastSyncScheduledAt: "2024-11-09T15:13:08.231Z",
		LastSyncStatus: &syncstatus.Completed, LastSynced: "2024-11-09T15:13:08.231Z",
	}).Do(r.ctx)
	r.must("last sync", err)
	r.check("last sync", out.Result.Name == "updated", out)
	out, err = r.es.Connector.LastSync(id).Request(&lastsync.Request{
		LastIndexedDocumentCount: ptr(int64(7)), SyncCursor: json.RawMessage(`{"page":{"next":3}}`),
	}).Do(r.ctx)
	r.must("a part of it", err)
	r.check("a part of it", out.Result.Name == "updated", out)
	out, err = r.es.Connector.LastSync(id).Request(&lastsync.Request{LastIndexedDocumentCount: ptr(int64(7))}).Do(r.ctx)
	r.must("the same again", err)
	r.check("the same again is a noop", out.Result.Name == "noop", out)
	got, err := r.es.Connector.Get(id).Do(r.ctx)
	r.must("get", err)
	r.check("last sync reads back", got.LastSyncStatus != nil && *got.LastSyncStatus == syncstatus.Completed && *got.LastIndexedDocumentCount == 7 &&
		*got.LastDeletedDocumentCount == 42 && got.LastSynced == "2024-11-09T15:13:08.231Z" && text(got.LastSyncError) == "Houston, we have a problem" &&
		text(got.Id) == id && strings.Contains(string(got.SyncCursor), `"next"`), got)
	_, err = r.es.Connector.LastSync(id).Request(&lastsync.Request{LastSeen: "2024-11-09T15:13:08.231Z"}).Do(r.ctx)
	r.refused("last_seen", err, 400, "x_content_parse_exception", "unknown field [last_seen]")
	_, err = r.es.Connector.LastSync("nowhere").Request(&lastsync.Request{}).Do(r.ctx)
	r.refused("an unknown id", err, 404, "document_missing_exception", "nowhere")
}

func (r *run) jobs() {
	c := r.es.Connector
	post := func(kind syncjobtype.SyncJobType) string {
		j, err := c.SyncJobPost().Request(&syncjobpost.Request{Id: "my-connector", JobType: &kind}).Do(r.ctx)
		r.must("post a job", err)
		return j.Id
	}
	first, second := post(syncjobtype.Full), post(syncjobtype.Incremental)
	got, err := c.SyncJobGet(first).Do(r.ctx)
	r.must("get the job", err)
	r.check("a new job", got.Id == first && got.Status == syncstatus.Pending && got.JobType == syncjobtype.Full && got.Connector.Id == "my-connector" &&
		got.Connector.ServiceType == "sharepoint_online" && got.CreatedAt != nil && got.StartedAt == nil, got)
	_, err = c.SyncJobClaim(first).Request(&syncjobclaim.Request{WorkerHostname: "some-machine"}).Do(r.ctx)
	r.must("claim", err)
	_, err = c.SyncJobCheckIn(first).Do(r.ctx)
	r.must("check in", err)
	_, err = c.SyncJobUpdateStats(first).DeletedDocumentCount(10).IndexedDocumentCount(20).IndexedDocumentVolume(1000).TotalDocumentCount(2000).Do(r.ctx)
	r.must("stats", err)
	got, err = c.SyncJobGet(first).Do(r.ctx)
	r.must("get the job", err)
	r.check("a running job", got.Status == syncstatus.Inprogress && got.IndexedDocumentCount == 20 && got.TotalDocumentCount == 2000 && text(got.WorkerHostname) == "some-machine", got)
	_, err = c.SyncJobError(first).Request(&syncjoberror.Request{Error: "some-error"}).Do(r.ctx)
	r.must("error", err)
	_, err = c.SyncJobCancel(first).Do(r.ctx)
	r.refused("cancel what has ended", err, 400, "status_exception", "Invalid transition attempt from [error] to [canceling]. Such a ConnectorSyncStatus transition is not supported by the Connector Protocol.")
	_, err = c.SyncJobCancel(second).Do(r.ctx)
	r.must("cancel", err)
	list, err := c.SyncJobList().ConnectorId("my-connector").Do(r.ctx)
	r.must("list", err)
	r.check("list, last first", list.Count == 2 && len(list.Results) == 2 && list.Results[0].Id == second && list.Results[1].Id == first, list)
	list, err = c.SyncJobList().Status(syncstatus.Canceled).JobType(syncjobtype.Incremental).Size(1).Do(r.ctx)
	r.must("list with filters", err)
	r.check("list with filters", list.Count == 1 && list.Results[0].Status == syncstatus.Canceled, list)
	gone, err := c.SyncJobDelete(second).Do(r.ctx)
	r.must("delete", err)
	r.check("delete", gone.Acknowledged, gone)
	_, err = c.SyncJobGet(second).Do(r.ctx)
	r.refused("get of a deleted job", err, 404, "resource_not_found_exception", second)
}

// managed reads a task as a connector, starts a scan of it and sees it end.
func (r *run) managed(id string) {
	c := r.es.Connector
	got, err := c.Get(id).Do(r.ctx)
	r.must("get the task", err)
	r.check("the task", text(got.ServiceType) == "lockstep" && text(got.IndexName) == "lockstep-"+id && text(got.Id) == id, got)
	_, err = c.LastSync(id).Request(&lastsync.Request{LastSyncStatus: &syncstatus.Completed}).Do(r.ctx)
	r.refused("last sync of a task", err, 400, "status_exception", "managed by Lockstep")
	j, err := c.SyncJobPost().Request(&syncjobpost.Request{Id: id, JobType: &syncjobtype.Full}).Do(r.ctx)
	r.must("start a scan", err)
	for r.ctx.Err() == nil {
		job, err := c.SyncJobGet(j.Id).Do(r.ctx)
		r.must("get the scan", err)
		if job.Status != syncstatus.Inprogress {
			r.check("the scan", job.Status == syncstatus.Completed && job.IndexedDocumentCount == 3 && job.TotalDocumentCount == 3 && job.Connector.Id == id, job)
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	got, err = c.Get(id).Do(r.ctx)
	r.must("get the task", err)
	r.check("the task after its scan", got.LastSyncStatus != nil && *got.LastSyncStatus == syncstatus.Completed && got.LastSynced != nil &&
		got.LastIndexedDocumentCount != nil && *got.LastIndexedDocumentCount == 3 && *got.LastDeletedDocumentCount == 0 && got.LastSyncError == nil, got)
}

// elsewhere asks for what is not here: the error is text alone, and still one of
// Elasticsearch's to the client.
func (r *run) elsewhere() {
	_, err := r.es.Cluster.Health().Do(r.ctx)
	var e *types.ElasticsearchError
	fine := errors.As(err, &e) && e.Status == 400 && e.ErrorCause.Reason != nil && strings.Contains(*e.ErrorCause.Reason, "no handler found for uri [/_cluster/health]")
	r.check("what is not here", fine, err)
}

func (r *run) strangers() {
	_, err := client("").Connector.Get("my-connector").Do(r.ctx)
	r.refused("nobody", err, 401, "security_exception", "missing authentication credentials for REST request [/_connector/my-connector]")
	_, err = client(base64.StdEncoding.EncodeToString([]byte("who:ever"))).Connector.List().Do(r.ctx)
	r.refused("a stranger", err, 401, "security_exception", "unable to authenticate with provided credentials")
}

func (r *run) teardown() {
	gone, err := r.es.Connector.Delete("my-connector").Hard(true).DeleteSyncJobs(true).Do(r.ctx)
	r.must("delete", err)
	r.check("delete", gone.Acknowledged, gone)
	list, err := r.es.Connector.SyncJobList().ConnectorId("my-connector").Do(r.ctx)
	r.must("list", err)
	r.check("its jobs are gone", list.Count == 0, list)
	_, err = r.es.Indices.Delete("search-google-drive").Do(r.ctx)
	r.refused("delete of an unknown index", err, 404, "index_not_found_exception", "search-google-drive")
}
