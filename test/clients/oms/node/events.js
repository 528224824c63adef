// Runs one task by way of the unmodified core of the official Node SDK: what its generated
// clients would do. It prints what the service says at the end as JSON.
'use strict';
const { ClientBuilder } = require('@huaweicloud/huaweicloud-sdk-core/ClientBuilder');
const { BasicCredentials } = require('@huaweicloud/huaweicloud-sdk-core/auth/BasicCredentials');

const env = process.env;
const credential = new BasicCredentials().withAk(env.OMS_AK).withSk(env.OMS_SK).withProjectId(env.OMS_PROJECT);
const client = new ClientBuilder((hc) => hc, 'BasicCredentials')
  .withEndpoint(env.OMS_ENDPOINT).withCredential(credential).build();

function call(method, url, { query = {}, path = {}, data } = {}) {
  const options = { method, url, contentType: 'application/json', queryParams: query, pathParams: { project_id: env.OMS_PROJECT, ...path }, headers: {} };
  if (data !== undefined) options.data = data;
  return client.sendRequest(options);
}

async function main() {
  const keys = JSON.parse(env.OMS_KEYS);
  const made = await call('POST', '/v2/{project_id}/sync-tasks', {
    data: { src_cloud_type: 'AWS', src_region: 'us-east-1', src_bucket: 'photos', dst_region: 'cn-north-4', dst_bucket: 'more', ...keys },
  });
  const path = { sync_task_id: made.sync_task_id };
  const task = '/v2/{project_id}/sync-tasks/{sync_task_id}';
  await call('POST', task + '/events', { path, data: { object_keys: ['node%2Fa+b', '%E4%B8%AD.txt'] } });
  let shown;
  for (let i = 0; i < 200; i++) {
    shown = await call('GET', task, { path, query: { query_time: Date.now() } });
    if (shown.monthly_acceptance_request === 2 && shown.monthly_success_object + shown.monthly_failure_object === 2) break;
    await new Promise((r) => setTimeout(r, 50));
  }
  const statistics = await call('GET', task + '/statistics', {
    path, query: { data_type: 'REQUEST,SUCCESS', start_time: Date.now() - 3600000, end_time: Date.now() + 1 },
  });
  const list = await call('GET', '/v2/{project_id}/sync-tasks', { query: { limit: 10, offset: 0, status: 'SYNCHRONIZING' } });
  await call('POST', task + '/stop', { path });
  await call('DELETE', task, { path });
  let refused;
  try {
    await call('GET', task, { path, query: { query_time: 1 } });
  } catch (e) {
    refused = { status: e.httpStatusCode, code: e.errorCode, request: e.requestId };
  }
  console.log(JSON.stringify({ id: made.sync_task_id, shown, types: statistics.statistic_datas.length, count: list.count, refused }));
}

main().catch((e) => { console.error(e); process.exit(1); });
