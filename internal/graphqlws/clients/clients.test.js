// Runs the reference clients of both protocols against the server at
// HOOKQL_URL, which has the schema of internal/graphqltest. Requests to
// /control/NAME make it end the key "brief", or stop and start anew.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createClient as createSocketClient } from 'graphql-ws';
import { createClient as createEventClient } from 'graphql-sse';
import WebSocket from 'ws';

const url = process.env.HOOKQL_URL;
const clients = [];
after(() => clients.forEach((c) => c.dispose()));

const soon = { retryWait: async () => {}, retry: async () => {} };

function sockets(options = {}) {
  const client = createSocketClient({
    url: url.replace('http', 'ws') + '/graphql',
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: 'Bearer good' },
    ...soon,
    ...options,
  });
  clients.push(client);
  return client;
}

function events(options = {}) {
  const client = createEventClient({ url: url + '/graphql', headers: { Authorization: 'Bearer good' }, ...soon, ...options });
  clients.push(client);
  return client;
}

async function all(client, query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) results.push(result);
  return results;
}

const control = async (name) => assert.equal((await fetch(url + '/control/' + name, { method: 'POST' })).status, 204);

for (const [name, make] of Object.entries({ 'graphql-ws': sockets, 'graphql-sse': events })) {
  test(`${name}: a subscription, a query, a mutation`, async () => {
    const client = make();
    assert.deepEqual(await all(client, 'subscription($to: Int!) { count(to: $to) }', { to: 3 }), [1, 2, 3].map((count) => ({ data: { count } })));
    assert.deepEqual(await all(client, 'subscription { count(to: 0) }'), []);
    assert.deepEqual(await all(client, '{ hello(name: "you") }'), [{ data: { hello: 'hello you' } }]);
    const [{ data }] = await all(client, 'mutation { touch }');
    assert.ok(data.touch > 0);
  });

  test(`${name}: twenty subscriptions side by side, each ended by the client`, async () => {
    const client = make();
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const once = client.iterate({ query: 'subscription { once }' });
        assert.deepEqual((await once.next()).value, { data: { once: 1 } });
        await once.return();
      }),
    );
    assert.deepEqual(await all(client, '{ hello }'), [{ data: { hello: 'hello' } }]);
  });

  test(`${name}: a fault of an operation leaves the others alone`, async () => {
    const client = make();
    const once = client.iterate({ query: 'subscription { once }' });
    await once.next();
    for (const query of ['subscription { nothing }', 'subscription { refused }', 'subscription {']) {
      if (name === 'graphql-ws') {
        await assert.rejects(all(client, query), (errors) => Array.isArray(errors) && errors[0].message !== '');
      } else {
        const [result] = await all(client, query);
        assert.ok(result.errors[0].message !== '');
      }
    }
    assert.deepEqual(await all(client, '{ hello }'), [{ data: { hello: 'hello' } }]);
    await once.return();
  });

  test(`${name}: the client connects anew when the service starts anew`, async () => {
    const client = make();
    const once = client.iterate({ query: 'subscription { once }' });
    assert.deepEqual((await once.next()).value, { data: { once: 1 } });
    await control('restart');
    assert.deepEqual((await once.next()).value, { data: { once: 1 } });
    await once.return();
  });
}

test('graphql-ws: a key that opens no more is replaced', async () => {
  let asked = 0;
  const client = sockets({ connectionParams: async () => ({ Authorization: asked++ === 0 ? 'Bearer brief' : 'Bearer good' }) });
  const closes = [];
  client.on('closed', (event) => closes.push(event.code));
  const once = client.iterate({ query: 'subscription { once }' });
  await once.next();
  await control('revoke');
  assert.deepEqual((await once.next()).value, { data: { once: 1 } });
  assert.deepEqual(closes, [4403]);
  await once.return();
});

test('graphql-ws: a wrong key', async () => {
  const client = sockets({ connectionParams: {}, retryAttempts: 0 });
  await assert.rejects(all(client, '{ hello }'), (event) => event.code === 4403 && event.reason === 'This request has no key.');
});

test('graphql-ws: it pings us', async () => {
  const client = sockets({ keepAlive: 20 });
  let pongs = 0;
  client.on('pong', (received) => received && pongs++);
  const once = client.iterate({ query: 'subscription { once }' });
  await once.next();
  while (pongs < 3) await new Promise((done) => setTimeout(done, 10));
  await once.return();
});

test('graphql-sse: a key that opens no more', async () => {
  const once = events({ headers: { Authorization: 'Bearer brief' } }).iterate({ query: 'subscription { once }' });
  await once.next();
  await control('revoke');
  assert.equal((await once.next()).value.errors[0].extensions.code, 'UNAUTHENTICATED');
  assert.equal((await once.next()).done, true);
});

test('graphql-sse: a request that is none', async () => {
  await assert.rejects(all(events({ retryAttempts: 0 }), ''), (error) => error.response.status === 400);
});
