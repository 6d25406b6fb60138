// The list of webhooks: a page, the next one, and what mutations do to it.
// Compiled, and the queries are asked of a server as the compiler writes them.
import { graphql } from 'relay-runtime';

graphql`
  query webhooksPageQuery($filter: WebhookFilter) {
    viewer {
      workspace {
        ...webhooks_workspace
      }
    }
    ...webhooks_query @arguments(filter: $filter)
  }
`;

// By the root field, which has no id and is fetched again with the query.
graphql`
  fragment webhooks_query on Query
  @refetchable(queryName: "webhooksRefetchQuery")
  @argumentDefinitions(
    count: { type: "Int", defaultValue: 25 }
    cursor: { type: "String" }
    filter: { type: "WebhookFilter" }
    orderBy: { type: "WebhookOrder" }
  ) {
    webhooks(first: $count, after: $cursor, filter: $filter, orderBy: $orderBy)
      @connection(key: "webhooks_webhooks", filters: ["filter", "orderBy"]) {
      totalCount
      edges {
        node {
          id
          ...webhooks_webhook
        }
      }
    }
  }
`;

// By an object, which is found again with `node`, both ways.
graphql`
  fragment webhooks_workspace on Workspace
  @refetchable(queryName: "webhooksWorkspaceRefetchQuery")
  @argumentDefinitions(
    first: { type: "Int", defaultValue: 25 }
    after: { type: "String" }
    last: { type: "Int" }
    before: { type: "String" }
  ) {
    webhooks(first: $first, after: $after, last: $last, before: $before)
      @connection(key: "webhooks_workspace_webhooks") {
      edges {
        node {
          ...webhooks_webhook
        }
      }
    }
  }
`;

graphql`
  fragment webhooks_webhook on Webhook @refetchable(queryName: "webhooksWebhookRefetchQuery") {
    uid
    name
    url
    status
    statusReason
    retryPolicy {
      backoffFactor
    }
    metadata
    createdAt
    ...webhooks_testRuns
  }
`;

graphql`
  fragment webhooks_testRuns on Webhook
  @refetchable(queryName: "webhooksTestRunsRefetchQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 3 }, cursor: { type: "String" }) {
    testRuns(first: $count, after: $cursor) @connection(key: "webhooks_testRuns") {
      edges {
        node {
          status
          tests(first: 5, verdicts: [FAIL, WARN]) {
            nodes {
              eventName
              verdict
              message
            }
          }
        }
      }
    }
  }
`;

graphql`
  query webhooksNodeQuery($id: ID!) {
    node(id: $id) {
      __typename
      id
      ...webhooks_webhook @alias(as: "webhook")
      ... on TestRun {
        testsSucceeded
        testsFailed
      }
    }
  }
`;

graphql`
  mutation webhooksCreateMutation($input: CreateWebhookInput!, $connections: [ID!]!) {
    createWebhook(input: $input) {
      webhook @prependNode(connections: $connections, edgeTypeName: "WebhookEdge") {
        id
        ...webhooks_webhook
      }
      userErrors {
        code
        field
        message
      }
    }
  }
`;

graphql`
  mutation webhooksDeleteMutation($input: DeleteWebhookInput!, $connections: [ID!]!) {
    deleteWebhook(input: $input) {
      deletedWebhookId @deleteRecord @deleteEdge(connections: $connections)
      userErrors {
        code
      }
    }
  }
`;

graphql`
  mutation webhooksTestMutation($input: TestWebhookInput!) {
    testWebhook(input: $input) {
      testRun {
        id
        success
        webhook {
          id
          status
        }
      }
    }
  }
`;
