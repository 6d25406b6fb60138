// Checks that the server at HOOKQL_URL shows the schema that stands in
// schema.graphqls, descriptions and all, and takes what Relay makes of it.
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from 'graphql';

async function ask(query, variables) {
  const answer = await fetch(process.env.HOOKQL_URL + '/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const result = await answer.json();
  assert.equal(result.errors, undefined, `${query}\n${JSON.stringify(result.errors)}`);
  return result;
}

const query = getIntrospectionQuery({
  specifiedByUrl: true,
  directiveIsRepeatable: true,
  schemaDescription: true,
  inputValueDeprecation: true,
  oneOf: true,
});
const { data } = await ask(query);

// gqlgen shows @defer, which no schema here declares, and answers what it marks at once.
data.__schema.directives = data.__schema.directives.filter((directive) => directive.name !== 'defer');

const lines = (schema) => printSchema(lexicographicSortSchema(schema)).split('\n');
const written = lines(buildSchema(await readFile(join(import.meta.dirname, '../../schema.graphqls'), 'utf8')));
const shown = lines(buildClientSchema(data));
const at = shown.findIndex((line, i) => line !== written[i]);
if (at >= 0) assert.deepEqual(shown.slice(at, at + 5), written.slice(at, at + 5));
assert.equal(shown.length, written.length);
console.log('The server shows schema.graphqls.');

const { viewer } = (await ask('{ viewer { workspace { id } } }')).data;
const artifacts = join(import.meta.dirname, 'generated/relay');
const queries = (await readdir(artifacts)).filter((file) => file.endsWith('Query.graphql.js'));
for (const file of queries) {
  const { params } = (await import(join(artifacts, file))).default;
  await ask(params.text, { id: viewer.workspace.id });
}
assert.notEqual(queries.length, 0);
console.log(`The server answers ${queries.length} queries that Relay wrote.`);
