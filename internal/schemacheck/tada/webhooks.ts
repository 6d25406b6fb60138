// Documents whose types are read off the schema; tsc checks the rest of the
// file against them. Nothing here is run.
import { initGraphQLTada, readFragment, type FragmentOf, type ResultOf, type VariablesOf } from 'gql.tada';

import type { introspection } from '../generated/graphql-env.d.ts';

type Json = null | boolean | number | string | Json[] | { [member: string]: Json };

const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { DateTime: string; URL: string; JSON: Json };
}>();

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_ extends true>() => {};

const WebhookFragment = graphql(`
  fragment Webhook on Webhook {
    id
    url
    status
    description
    rateLimitPerSecond
    events
    headers {
      name
      value
    }
    retryPolicy {
      backoffFactor
    }
    metadata
    createdAt
    previousSecretExpiresAt
  }
`);

export function line(data: FragmentOf<typeof WebhookFragment>): string {
  const webhook = readFragment(WebhookFragment, data);
  // Scalars, enums and null as the schema has them.
  is<Equal<typeof webhook.id, string>>();
  is<Equal<typeof webhook.url, string>>();
  is<Equal<typeof webhook.status, 'ACTIVE' | 'INACTIVE' | 'SUSPENDED'>>();
  is<Equal<typeof webhook.description, string | null>>();
  is<Equal<typeof webhook.rateLimitPerSecond, number | null>>();
  is<Equal<typeof webhook.events, string[]>>();
  is<Equal<typeof webhook.headers, { name: string; value: string }[]>>();
  is<Equal<typeof webhook.retryPolicy.backoffFactor, number>>();
  is<Equal<typeof webhook.metadata, Json>>();
  is<Equal<typeof webhook.createdAt, string>>();
  is<Equal<typeof webhook.previousSecretExpiresAt, string | null>>();
  return `${webhook.url} since ${new Date(webhook.createdAt).getFullYear()}`;
}

export const list = graphql(
  `
    query List($filter: WebhookFilter, $orderBy: WebhookOrder) {
      webhooks(first: 10, filter: $filter, orderBy: $orderBy) {
        nodes {
          ...Webhook
        }
        pageInfo {
          endCursor
        }
      }
    }
  `,
  [WebhookFragment],
);

export const filters: VariablesOf<typeof list>[] = [
  {},
  { filter: { status: ['ACTIVE'] }, orderBy: { field: 'NAME', direction: 'ASC' } },
  // @ts-expect-error there is no such status
  { filter: { status: ['PAUSED'] } },
  // @ts-expect-error there is no such field
  { filter: { state: ['ACTIVE'] } },
];

export function urls(result: ResultOf<typeof list>): string[] {
  // @ts-expect-error a root field can be null
  result.webhooks.nodes;
  return result.webhooks?.nodes.map(line) ?? [];
}

// What `node` finds is told apart by its type.
export const node = graphql(`
  query Node($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Webhook {
        status
      }
      ... on TestRun {
        progress: status # of another type than a webhook's
        testsFailed
      }
      ... on TestResult {
        verdict
        outcome
      }
    }
  }
`);

export function about(found: NonNullable<ResultOf<typeof node>['node']>): string {
  switch (found.__typename) {
    case 'Webhook':
      is<Equal<typeof found.status, 'ACTIVE' | 'INACTIVE' | 'SUSPENDED'>>();
      return found.status;
    case 'TestRun':
      is<Equal<typeof found.progress, 'RUNNING' | 'FINISHED' | 'ABORTED'>>();
      return `${found.testsFailed} failed`;
    case 'TestResult':
      is<Equal<typeof found.verdict, 'PASS' | 'WARN' | 'FAIL' | 'SKIP' | null>>();
      return found.outcome ?? 'not sent';
    case 'ApiKey':
    case 'Delivery':
    case 'DeliveryAttempt':
    case 'Event':
    case 'EventType':
    case 'Workspace':
      return found.id;
  }
}

export const create = graphql(`
  mutation Create($input: CreateWebhookInput!) {
    createWebhook(input: $input) {
      webhook {
        id
      }
      userErrors {
        code
        field
      }
    }
  }
`);

// What has a default can be left out; the rest cannot.
export const creations: VariablesOf<typeof create>[] = [
  { input: { url: 'https://example.com', events: ['*'] } },
  { input: { url: 'https://example.com', events: ['*'], retryPolicy: { maxAttempts: 3 }, metadata: { team: ['a', 1] } } },
  // @ts-expect-error no events
  { input: { url: 'https://example.com' } },
];

export function taken(result: ResultOf<typeof create>): boolean {
  return result.createWebhook?.userErrors.some((err) => err.code === 'TAKEN' && err.field?.at(-1) === 'uid') ?? false;
}

export const test = graphql(`
  mutation Test($input: TestWebhookInput!) {
    testWebhook(input: $input) {
      testRun {
        tests {
          nodes {
            verdict
          }
        }
      }
    }
  }
`);

// One target at least; TypeScript lets two pass.
export const tests: VariablesOf<typeof test>[] = [
  { input: { target: { webhookId: 'wh_1' } } },
  { input: { target: { endpoint: { url: 'https://example.com', events: ['job.status'], method: 'GET' } } } },
  // @ts-expect-error none
  { input: { target: {} } },
];
