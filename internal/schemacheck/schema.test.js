// The checks are able to fail.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ESLint } from 'eslint';

import { breaks, check, lastRelease } from './breaking.js';

const released = `
  directive @hasScope(scope: String!) on FIELD_DEFINITION
  type Query { webhook(id: ID, page: Int = 1): Webhook  open: Int }
  type Webhook { id: ID!  name: String!  status: Status! }
  enum Status { ACTIVE INACTIVE }
  input Input { url: String  timeoutMs: Int = 15000 }
  type Mutation { create(input: Input): Webhook }
`;

test('what breaks clients is found', () => {
  for (const [from, to, want] of [
    ['name: String!', '', /Webhook.name was removed/],
    ['name: String!', 'name: String', /Webhook.name changed type/],
    ['name: String!', 'name(first: Int!): String!', /required arg first/],
    ['ACTIVE INACTIVE', 'ACTIVE', /INACTIVE was removed/],
    ['url: String', 'url: String!', /Input.url changed type/],
    ['url: String', 'url: String  events: [String!]!', /required field events/],
    ['page: Int = 1', 'page: Int = 2', /page has changed defaultValue/],
    ['15000', '30000', /Input.timeoutMs changed its default from 15000 to 30000/],
    [' = 15000', '', /Input.timeoutMs changed its default from 15000 to none/],
    ['open: Int', 'open: Int @hasScope(scope: "X")', /Query.open changed its directives/],
    ['input Input', 'input Input @oneOf', /Input changed its directives/],
  ]) {
    const found = breaks(released, released.replace(from, to));
    assert.equal(found.length, 1, `${from} → ${to}: ${found}`);
    assert.match(found[0], want);
  }
});

test('what grows or is deprecated breaks nothing', () => {
  for (const [from, to] of [
    ['', ''],
    ['name: String!', 'name: String!  title: String!'],
    ['name: String!', 'name: String! @deprecated(reason: "Use \`id\`.")'],
    ['name: String!', '"""What it is called."""  name(first: Int = 3): String!'],
    ['ACTIVE INACTIVE', 'ACTIVE INACTIVE SUSPENDED'],
    ['url: String', 'url: String  events: [String!]'],
  ]) {
    assert.deepEqual(breaks(released, released.replace(from, to)), [], `${from} → ${to}`);
  }
});

test('the last release is the first that the changelog names', () => {
  assert.equal(lastRelease('# Changelog\n\n## Unreleased\n\n### Added\n\n- 1.0.0 is near\n'), null);
  assert.equal(lastRelease('## Unreleased\n\n## [1.2.0] - 2026-02-01\n\n## [1.1.0]\n'), '1.2.0');
  assert.equal(lastRelease('## v0.3.0-rc.1\n'), '0.3.0-rc.1');
});

test('a tree is compared with its last release', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'schemacheck-'));
  t.after(() => rm(dir, { recursive: true }));
  const write = (name, text) => writeFile(join(dir, name), text);

  await write('schema.graphqls', released.replace('name: String!', ''));
  await write('CHANGELOG.md', '## Unreleased\n');
  assert.match(await check(dir, dir), /no release yet/);

  await write('CHANGELOG.md', '## Unreleased\n\n## [1.0.0]\n');
  await assert.rejects(check(dir, dir), /git show v1.0.0:schema.graphqls/);

  await write('1.0.0.graphqls', released);
  await assert.rejects(check(dir, dir), /breaks clients of 1.0.0.*Webhook.name was removed/s);

  await write('schema.graphqls', released);
  assert.match(await check(dir, dir), /breaks nothing of 1.0.0/);
});

async function lint(sdl) {
  const eslint = new ESLint({
    cwd: join(import.meta.dirname, '../..'),
    overrideConfigFile: join(import.meta.dirname, 'eslint.config.js'),
  });
  const [{ messages }] = await eslint.lintText(sdl, { filePath: 'schema.graphqls' });
  return (rule) => messages.filter((message) => message.ruleId === rule).map((message) => message.line);
}

test('what is not described is found', async () => {
  const lines = await lint(
    'type Sort {\n  by(\n    way: Way\n  ): Int\n}\nenum Way {\n  UP\n}\ninput SortInput {\n  way: Way\n}\nscalar Day\ndirective @day on FIELD\ninterface Any {\n  id: ID!\n}\n',
  );
  assert.deepEqual(lines('@graphql-eslint/require-description'), [1, 2, 3, 6, 7, 9, 10, 12, 13, 14, 15]);
});

test('a default that null cannot ask for is found', async () => {
  const lines = await lint('input SortInput {\n  a: Int! = 1\n  b: Int = 1\n  c: Int!\n}\ntype Query {\n  d(e: [Int!]! = []): Int\n}\n');
  assert.deepEqual(lines('no-restricted-syntax'), [2, 7]);
});
