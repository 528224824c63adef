// Drives Lockstep with the official JavaScript client of Elasticsearch, as it is
// published: every call of the Connector APIs, and how it reads errors.
//
// LOCKSTEP_URL, LOCKSTEP_ACCESS_KEY and LOCKSTEP_SECRET_KEY say whom to ask, LOCKSTEP_TASK
// is the id of a task of the same project. LOCKSTEP_ELASTIC_CLIENT is where the client is
// installed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(process.env.LOCKSTEP_ELASTIC_CLIENT + "/");
const { Client, errors } = require("@elastic/elasticsearch");

const node = process.env.LOCKSTEP_URL;
const id = process.env.LOCKSTEP_ACCESS_KEY;
const secret = process.env.LOCKSTEP_SECRET_KEY;
const clients = {
  encoded: new Client({ node, auth: { apiKey: Buffer.from(`${id}:${secret}`).toString("base64") }, maxRetries: 0 }),
  pair: new Client({ node, auth: { apiKey: { id, api_key: secret } }, maxRetries: 0 }),
  basic: new Client({ node, auth: { username: id, password: secret }, maxRetries: 0 }),
  bearer: new Client({ node, auth: { bearer: `${id}:${secret}` }, maxRetries: 0 }),
};
const es = clients.encoded;

// refused wants a ResponseError of this status, type and reason.
async function refused(promise, status, type, reason) {
  const err = await promise.then(
    () => assert.fail(`not refused: ${type} ${reason}`),
    (e) => e,
  );
  assert.ok(err instanceof errors.ResponseError, `${err}`);
  assert.equal(err.statusCode, status, JSON.stringify(err.body));
  assert.equal(err.body.error.type, type);
  assert.equal(err.body.status, status);
  assert.match(err.body.error.reason, reason);
}

async function connectors() {
  const made = await es.connector.put({ connector_id: "my-connector", index_name: "search-google-drive", name: "My Connector", service_type: "google_drive" });
  assert.deepEqual(made, { id: "my-connector", result: "created" });
  assert.equal((await es.connector.put({ connector_id: "a/b c" })).result, "created");
  assert.equal((await es.connector.get({ connector_id: "a/b c" })).id, "a/b c");
  const posted = await es.connector.post({});
  assert.match(posted.id, /^[\w-]{20}$/);
  assert.equal((await es.connector.put({})).result, "created");
  for (const c of Object.values(clients)) {
    const got = await c.connector.get({ connector_id: "my-connector" });
    assert.equal(got.index_name, "search-google-drive");
    assert.equal(got.status, "created");
    assert.ok(!("last_sync_status" in got) && !("error" in got));
  }
  const list = await es.connector.list({ service_type: "google_drive", size: 10 });
  assert.equal(list.count, 1);
  assert.equal(list.results[0].id, "my-connector");
  assert.equal((await es.connector.list({ index_name: ["search-google-drive", "x"], connector_name: ["My Connector"], query: "drive" })).count, 1);
  await refused(es.connector.get({ connector_id: "nowhere" }), 404, "resource_not_found_exception", /connector \[nowhere\] not found/);
  await refused(es.connector.put({ connector_id: "x", index_name: "Upper" }), 400, "action_request_validation_exception", /Upper/);
  await refused(es.connector.put({ connector_id: "x", index_name: "search-google-drive" }), 400, "status_exception", /^Index name \[search-google-drive\] is used by another connector\.$/);
  assert.deepEqual(await es.connector.delete({ connector_id: "a/b c", hard: true }), { acknowledged: true });
}

async function updates() {
  const connector_id = "my-connector";
  const c = es.connector;
  const results = [
    c.updateName({ connector_id, name: "Custom connector", description: "This is my customized connector" }),
    c.updateScheduling({ connector_id, scheduling: { full: { enabled: true, interval: "0 10 0 * * ?" } } }),
    c.updatePipeline({ connector_id, pipeline: { extract_binary_content: true, name: "my-connector-pipeline", reduce_whitespace: true, run_ml_inference: true } }),
    c.updateApiKeyId({ connector_id, api_key_id: "my-api-key-id", api_key_secret_id: "my-connector-secret-id" }),
    c.updateFeatures({ connector_id, features: { document_level_security: { enabled: true }, sync_rules: { basic: { enabled: true } } } }),
    c.updateIndexName({ connector_id, index_name: "data-from-my-google-drive" }),
    c.updateFiltering({ connector_id, advanced_snippet: { value: [{ tables: ["users"], query: "SELECT * FROM users" }] } }),
  ];
  // At once: none of them may be lost.
  for (const r of await Promise.all(results)) assert.equal(r.result, "updated");
  const got = await c.get({ connector_id });
  assert.equal(got.name, "Custom connector");
  assert.equal(got.scheduling.full.enabled, true);
  assert.equal(got.pipeline.name, "my-connector-pipeline");
  assert.equal(got.api_key_id, "my-api-key-id");
  assert.equal(got.features.sync_rules.basic.enabled, true);
  assert.equal(got.index_name, "data-from-my-google-drive");
  assert.equal(got.filtering[0].draft.validation.state, "edited");

  await refused(c.updateActiveFiltering({ connector_id }), 400, "status_exception", /draft/);
  assert.equal((await c.updateFilteringValidation({ connector_id, validation: { errors: [], state: "valid" } })).result, "updated");
  assert.equal((await c.updateActiveFiltering({ connector_id })).result, "updated");
  await refused(c.updateStatus({ connector_id, status: "connected" }), 400, "status_exception",
    /^Invalid transition attempt from \[created\] to \[connected\]\. Such a status transition is not supported by the Connector Protocol\.$/);
  await c.updateStatus({ connector_id, status: "needs_configuration" });
  await c.updateConfiguration({ connector_id, configuration: { tenant: { label: "Tenant", type: "str", value: "a" } } });
  await c.updateConfiguration({ connector_id, values: { tenant: "b" } });
  await refused(c.updateConfiguration({ connector_id, values: { other: 1 } }), 400, "status_exception",
    /^Unknown \[configuration\] fields in the request payload: \[other\]\. Remove them from request or register their schema first\.$/);
  await refused(c.updateConfiguration({ connector_id, configuration: null, values: null }), 400, "action_request_validation_exception",
    /^Validation Failed: 1: \[configuration\] and \[values\] cannot both be null\.;$/);
  await c.updateServiceType({ connector_id, service_type: "sharepoint_online" });
  await c.updateNative({ connector_id, is_native: false });
  await c.updateError({ connector_id, error: "Houston, we have a problem!" });
  assert.equal((await c.get({ connector_id })).status, "error");
  await c.updateError({ connector_id, error: null });
  const after = await c.get({ connector_id });
  assert.equal(after.status, "connected");
  assert.ok(!("error" in after));
  let seen = "";
  for (let i = 0; i < 5; i++) {
    await c.checkIn({ connector_id });
    const now = (await c.get({ connector_id })).last_seen;
    assert.ok(now > seen, `${now} after ${seen}`);
    seen = now;
  }
  await refused(c.updateName({ connector_id: "", name: "x" }), 400, "action_request_validation_exception",
    /\[connector_id\] cannot be \[null\] or \[""\]\./);
}

async function lastSync() {
  const connector_id = "my-connector";
  const all = {
    last_access_control_sync_error: "Houston, we have a problem", last_access_control_sync_scheduled_at: "2023-11-09T15:13:08.231Z",
    last_access_control_sync_status: "pending", last_deleted_document_count: 42, last_incremental_sync_scheduled_at: "2023-11-09T15:13:08.231Z",
    last_indexed_document_count: 42, last_sync_error: "Houston, we have a problem", last_sync_scheduled_at: "2024-11-09T15:13:08.231Z",
    last_sync_status: "completed", last_synced: "2024-11-09T15:13:08.231Z",
  };
  assert.equal((await es.connector.lastSync({ connector_id, ...all })).result, "updated");
  let got = await es.connector.get({ connector_id });
  for (const [name, value] of Object.entries(all)) assert.deepEqual(got[name], value, name);
  assert.equal((await es.connector.lastSync({ connector_id, ...all })).result, "noop");
  assert.equal((await es.connector.lastSync({ connector_id, last_sync_error: null, last_synced: null })).result, "noop");
  await es.connector.lastSync({ connector_id, sync_cursor: { a: { x: 1 } } });
  await es.connector.lastSync({ connector_id, sync_cursor: { a: { y: 2 } } });
  got = await es.connector.get({ connector_id });
  assert.deepEqual(got.sync_cursor, { a: { x: 1, y: 2 } });
  await refused(es.connector.lastSync({ connector_id, last_sync_status: "done" }), 400, "x_content_parse_exception",
    /^\[1:\d+\] \[connector_update_last_sync_stats_request\] failed to parse field \[last_sync_status\]$/);
  await refused(es.connector.lastSync({ connector_id, last_seen: "2024-11-09T15:13:08.231Z" }), 400, "x_content_parse_exception", /unknown field \[last_seen\]/);
  await refused(es.connector.lastSync({ connector_id: "nowhere" , last_sync_status: "error" }), 404, "document_missing_exception", /nowhere/);
}

async function jobs() {
  const c = es.connector;
  const { id: first } = await c.syncJobPost({ id: "my-connector", job_type: "full", trigger_method: "on_demand" });
  const { id: second } = await c.syncJobPost({ id: "my-connector", job_type: "access_control" });
  assert.equal((await c.syncJobGet({ connector_sync_job_id: second })).connector.index_name, ".search-acl-filter-data-from-my-google-drive");
  await c.syncJobClaim({ connector_sync_job_id: first, worker_hostname: "some-machine" });
  await c.syncJobCheckIn({ connector_sync_job_id: first });
  await c.syncJobUpdateStats({ connector_sync_job_id: first, deleted_document_count: 10, indexed_document_count: 20, indexed_document_volume: 1000, total_document_count: 2000, last_seen: "2023-01-02T10:00:00Z" });
  const job = await c.syncJobGet({ connector_sync_job_id: first });
  assert.equal(job.status, "in_progress");
  assert.equal(job.indexed_document_count, 20);
  assert.equal(job.last_seen, "2023-01-02T10:00:00.000Z");
  await c.syncJobCancel({ connector_sync_job_id: first });
  await c.syncJobError({ connector_sync_job_id: first, error: "some-error" });
  await refused(c.syncJobCancel({ connector_sync_job_id: first }), 400, "status_exception", /^Invalid transition attempt from \[error\] to \[canceling\]/);
  const list = await c.syncJobList({ connector_id: "my-connector" });
  assert.deepEqual(list.results.map((j) => j.id), [second, first]);
  assert.equal(list.count, 2);
  assert.equal((await c.syncJobList({ status: "error", job_type: ["full"], size: 1 })).count, 1);
  assert.deepEqual(await c.syncJobDelete({ connector_sync_job_id: second }), { acknowledged: true });
  await refused(c.syncJobGet({ connector_sync_job_id: second }), 404, "resource_not_found_exception", new RegExp(second));
  await refused(c.syncJobPost({ id: "nowhere" }), 404, "resource_not_found_exception", /^Connector with id 'nowhere' does not exist\.$/);
}

async function managed(task) {
  const c = es.connector;
  const got = await c.get({ connector_id: task });
  assert.equal(got.service_type, "lockstep");
  assert.equal(got.index_name, `lockstep-${task}`);
  await refused(c.updateName({ connector_id: task, name: "x" }), 400, "status_exception", /managed by Lockstep/);
  await refused(c.syncJobPost({ id: task, job_type: "incremental" }), 400, "status_exception", /managed by Lockstep/);
  const { id: scan } = await c.syncJobPost({ id: task, job_type: "full" });
  for (;;) {
    const job = await c.syncJobGet({ connector_sync_job_id: scan });
    if (job.status !== "in_progress") {
      assert.equal(job.status, "completed");
      assert.equal(job.total_document_count, 3);
      break;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  const after = await c.get({ connector_id: task });
  assert.equal(after.last_sync_status, "completed");
  assert.ok(after.last_synced);
  assert.equal((await c.syncJobList({ connector_id: task })).results[0].id, scan);
}

async function strangers() {
  const nobody = new Client({ node, maxRetries: 0 });
  await refused(nobody.connector.get({ connector_id: "my-connector" }), 401, "security_exception", /^missing authentication credentials for REST request \[\/_connector\/my-connector\]$/);
  const stranger = new Client({ node, auth: { apiKey: { id: "who", api_key: "ever" } }, maxRetries: 0 });
  await refused(stranger.connector.list(), 401, "security_exception", /unable to authenticate/);
}

async function teardown() {
  assert.deepEqual(await es.connector.delete({ connector_id: "my-connector", delete_sync_jobs: true }), { acknowledged: true });
  assert.equal((await es.connector.syncJobList({ connector_id: "my-connector" })).count, 0);
  await es.indices.delete({ index: "search-google-drive" }, { ignore: [404] });
}

for (const step of [connectors, updates, lastSync, jobs, () => managed(process.env.LOCKSTEP_TASK), strangers, teardown]) await step();
console.log("ok");
