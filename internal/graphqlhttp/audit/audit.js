// Runs the public audits of GraphQL over HTTP against the server at HOOKQL_URL.
import { serverAudits } from 'graphql-http';

const url = process.env.HOOKQL_URL + '/graphql';
let passed = 0;
let failed = 0;
for (const audit of serverAudits({ url })) {
  const result = await audit.fn();
  if (result.status === 'ok') {
    passed++;
  } else {
    failed++;
    console.error(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed === 61 ? 0 : 1;
