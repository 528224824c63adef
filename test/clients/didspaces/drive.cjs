// Does with the unmodified client what a test asks for on its standard input: a JSON
// object for each line; answers each with a line of JSON. Run in a directory where the
// client is installed.
'use strict';
const readline = require('node:readline');
const path = require('node:path');
const { createRequire } = require('node:module');

const here = createRequire(path.join(process.cwd(), 'package.json'));
const root = '@blocklet/did-space-js';
const { SpaceClient, auditLogList } = here(root);
const { PostObjectsSyncCommand } = here(root + '/dist/commands/audit-log/post-objects-sync-command');
const { PutObjectsSyncCommand } = here(root + '/dist/commands/audit-log/put-objects-sync-command');
const { fromSecretKey, WalletType } = here('@ocap/wallet');

const made = async (of) => {
  const type = of.type ? WalletType(of.type) : undefined;
  const wallet = await fromSecretKey(of.secretKey, type);
  if (!of.version) return wallet;
  return { ...wallet, signJWT: (payload, doSign) => wallet.signJWT(payload, doSign, of.version) };
};

const list = (wallet, endpoint, query) => new Promise((resolve, reject) => {
  const req = { method: 'GET', query: { endpoint, ...query }, getBlockletInfo: () => ({ wallet }) };
  const res = {
    statusCode: 200,
    status(code) { this.statusCode = code; return this; },
    send: resolve, json: resolve,
  };
  Promise.resolve(auditLogList(req, res, reject)).catch(reject);
});

const act = async ({ wallet, endpoint, url, command, input }) => {
  const w = await made(wallet);
  if (command === 'list') return list(w, endpoint, input);
  const options = { endpoint, wallet: w };
  if (url) options.url = url;
  const client = new SpaceClient(options);
  const Command = command === 'post' ? PostObjectsSyncCommand : PutObjectsSyncCommand;
  return client.send(new Command(input));
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const out = await act(JSON.parse(line));
      answer = { statusCode: out.statusCode, statusMessage: out.statusMessage, data: out.data };
    } catch (error) {
      answer = { thrown: String(error && error.message ? error.message : error) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
