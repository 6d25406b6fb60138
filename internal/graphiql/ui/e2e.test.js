// Walks through the tabs in a real browser, as a newcomer would, against a
// running server. Settings: HOOKQL_URL, CHROMIUM, SCREENSHOT (a file to write).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const base = process.env.HOOKQL_URL ?? 'http://127.0.0.1:8080';
const origin = new URL(base).origin;

// What the response must show (Monaco draws a space as a no-break one), and
// whether the tab brings variables.
const tabs = [
  { name: 'EventTypes', shows: [/"name":\s"job\.status"/] },
  { name: 'CreateWebhook', shows: [/"uid":\s"demo"|"code":\s"TAKEN"/], variables: true },
  { name: 'TestWebhook', shows: [/"success":\strue/], variables: true },
  { name: 'FailingTest', shows: [/"success":\sfalse/, /"message":\s"[^"]+"/], variables: true },
  { name: 'TestHistory', shows: [/"startedAt"/] },
  { name: 'PublishEvent', shows: [/"status":\s"ACTIVE"/, /"uid":\s"job-1-running"/], variables: true },
  { name: 'LiveDeliveries', shows: [/"status":\s"SUCCEEDED"/], publish: true },
  { name: 'SimulateRetries', shows: [/"message":\s"The\sevent\sis\sdelivered/], variables: true },
  { name: 'Conformance', shows: [/"name":\s"signature\.tampered-body"/, /"verdict":\s"FAIL"/], variables: true },
];

let browser, page;
const mistakes = []; // what must not happen at any time

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-gpu',
      '--disable-quic',
      '--disable-sync',
      '--no-first-run',
    ],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
  context.on('console', (message) => message.type() === 'error' && mistakes.push(message.text()));
  context.on('weberror', (error) => mistakes.push(error.error().stack));
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== origin) mistakes.push(`request to ${url}`);
  });
  await context.exposeFunction('reportViolation', (violation) => mistakes.push(violation));
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => {
      reportViolation(`policy violation: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`);
    });
  });
  page = await context.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(`${base}/graphiql`);
});

after(() => browser?.close());

test('the page opens with its tabs', async () => {
  await page.locator('.graphiql-query-editor .view-line').first().waitFor();
  assert.equal(await page.title(), 'HookQL GraphiQL');
  assert.equal(page.url(), `${base}/graphiql/`);
  assert.deepEqual(
    await page.getByRole('tab').allInnerTexts(),
    tabs.map((tab) => tab.name),
  );
});

for (const { name, shows, variables, publish } of tabs) {
  test(`tab ${name} runs`, async () => {
    await page.getByRole('tab', { name }).click();
    await page.waitForFunction(
      // GraphiQL stores the query in the moment in which it has read it.
      (name) => localStorage.getItem('hookql:graphiql:query')?.includes(name),
      name,
    );
    const sent = page.waitForRequest((request) => request.postDataJSON()?.operationName === name);
    await page.getByRole('button', { name: /^Execute query/ }).click();
    const operation = (await sent).postDataJSON();
    assert.equal(operation.variables !== undefined, Boolean(variables), 'variables sent');
    if (name === 'CreateWebhook') assert.equal(new URL(operation.variables.input.url).origin, origin);

    if (publish) await publishSoon();
    const response = page.locator('.result-window .view-lines');
    for (const pattern of shows) await response.filter({ hasText: pattern }).waitFor();
    if (name === 'FailingTest' && process.env.SCREENSHOT) {
      await page.screenshot({ path: process.env.SCREENSHOT });
    }
  });
}

// Publishes an event once the subscription that was just asked for is heard.
async function publishSoon() {
  await page.waitForTimeout(1000);
  const response = await fetch(`${base}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query: 'mutation { publishEvent(input: { eventName: "job.status", data: { id: "live" } }) { userErrors { message } } }',
    }),
  });
  assert.deepEqual((await response.json()).data.publishEvent.userErrors, []);
}

test('nothing was blocked, failed or loaded from elsewhere', () => {
  assert.deepEqual(mistakes, []);
});
