// The public rules for GraphQL schemas, and where this schema departs from
// them and why. An exception that is not named here is a mistake.
import { join } from 'node:path';

import graphql from '@graphql-eslint/eslint-plugin';

const recommended = graphql.configs['flat/schema-recommended'].rules;
const relay = graphql.configs['flat/schema-relay'].rules;

const { 'ObjectTypeDefinition,ObjectTypeExtension': objects, ...names } =
  recommended['@graphql-eslint/naming-convention'][1];

export default [
  {
    files: ['**/*.graphqls'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: join(import.meta.dirname, '../../schema.graphqls') } },
    },
    rules: {
      ...recommended,
      ...relay,

      // Rules beyond the two sets that say what our design says.
      '@graphql-eslint/input-name': 'error', // one argument `input` of a type named after the mutation
      '@graphql-eslint/no-scalar-result-type-on-mutation': 'error',
      '@graphql-eslint/require-nullable-result-in-root': 'error', // a failing field never voids the answer
      '@graphql-eslint/require-nullable-fields-with-oneof': 'error',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'InputValueDefinition[defaultValue][gqlType.kind=NonNullType]',
          message: 'An input with a default is nullable: generated clients send null for what is not set.',
        },
      ],

      // Everything is described, not only types and root fields.
      '@graphql-eslint/require-description': [
        'error',
        {
          types: true,
          DirectiveDefinition: true,
          EnumValueDefinition: true,
          FieldDefinition: true,
          InputValueDefinition: true, // fields of inputs, and arguments
        },
      ],

      // EventType is the noun, a type of events; the suffix says nothing of GraphQL.
      '@graphql-eslint/naming-convention': [
        'error',
        { ...names, 'ObjectTypeDefinition[name.value!=EventType],ObjectTypeExtension': objects },
      ],

      // An id is what `node` finds. These are parts of an object, or answers, and are never found alone.
      '@graphql-eslint/strict-id-in-types': [
        'error',
        {
          exceptions: {
            suffixes: ['Connection', 'Edge', 'Payload'],
            types: [
              'DeliveryCounts', // are counted for one answer
              'DeliveryPreview', // is built for one answer
              'DeliveryStats', // are summed up for one answer
              'HttpHeader',
              'HttpRequest',
              'HttpResponse',
              'HttpTiming',
              'PageInfo', // as Relay has it
              'RetryPolicy',
              'RetrySimulation', // is worked out for one answer
              'SecondsRange',
              'SignatureVerdict', // is found out for one answer
              'SimulatedAttempt',
              'TestCheck',
              'TestComparison', // has two results, each with its id
              'TestExchange',
              'TestRunComparison', // has two runs, each with its id
              'TestRunProgress', // is told once, of a run with its id
              'TestScenario', // has a stable name, in the program and not in the database
              'UserError',
              'VerificationSnippet', // is written for one answer
              'Viewer', // is whoever asks
              'WebhookPage', // has a number
            ],
          },
        },
      ],

      // Connections have `nodes` beside `edges`, and what is bounded (event types, headers, mistakes) is a plain list.
      '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],

      // `TestRun.tests` goes forwards only: a run has at most 50 tests, and one page holds them. Relay's specification
      // asks for one direction; all other connections have both.
      '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
    },
  },
];
