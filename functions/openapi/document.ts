import type { JsonObject, JsonValue } from '../../src/world/types.ts';
import type { ProblemCode } from '../http/problem.ts';
import { buildComponents, convert, refer } from './components.ts';
import { buildHeaderComponents, describeHeaders, type HeaderName, referParameter } from './headers.ts';
import { describeProblem, groupProblems, listProblems } from './problems.ts';
import type { AnswerDoc, ContentDoc, Route, Tag } from './types.ts';

const TAGS: Record<Tag, string> = {
  Spaces: 'Worlds, each with one order of its writes.',
  State: 'A whole world.',
  Objects: 'The things in a world.',
  Updates: 'The changes of a world in order, and dead letters.',
  Chat: 'The messages in a space.',
  Models: 'The 3D models of a tenant.',
  Media: 'The images, audio and video files of a tenant.',
  People: 'The people in the worlds, and their credentials.',
  Analytics: 'How the spaces of a tenant are used.',
  Events: 'Events for analysts, apart from all worlds.',
  Audit: 'The changes of rows, with their actors.',
  Keys: 'The credentials of servers.',
  Operations: 'Figures, incidents and jobs for an operator.',
  Running: 'Whether it is well.',
};

const DESCRIPTION = `Persistence for 3D multi-user worlds.

Lengths are metres, rotations unit quaternions, times RFC 3339 in UTC. Numbers are finite doubles and come back bit for bit (−0 as 0). Every GET is served as HEAD too. A parameter that is not served is refused, not ignored. A method that is not served on a path is answered with 405 and \`Allow\`.`;

/** The whole API as OpenAPI 3.1, from its routes and the schemas that check what comes in. */
export function buildDocument(routes: readonly Route[], basePath = ''): JsonObject {
  const paths: Record<string, JsonObject> = {};
  const shared: SharedAnswers = {};
  for (const route of routes) {
    const item = paths[route.path] ?? describeParameters(route.path);
    paths[route.path] = { ...item, [route.method]: describeRoute(route, shared) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'worldkeep',
      version: '1',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: basePath || '/' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: buildComponents(),
      responses: { ...shared, method_not_allowed: describeProblem(['method_not_allowed'], 405) },
      ...buildHeaderComponents(),
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description:
            'An API key, `wk_<tenant>_<secret>`, with the scopes `read`, `write`, `admin`. None includes another.',
        },
        sessionToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            "The token of a person's session, for its own space, person and session. Its role is `viewer`, `editor` or `owner`; each includes the roles before it.",
        },
        qstashSignature: {
          type: 'apiKey',
          in: 'header',
          name: 'Upstash-Signature',
          description:
            'The signature of a call by QStash. It covers this URL and this body, for five minutes.',
        },
        metricsToken: {
          type: 'http',
          scheme: 'bearer',
          description: 'The METRICS_TOKEN of the server.',
        },
      },
    },
  };
}

function describeParameters(path: string): JsonObject {
  const names = [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []);
  if (names.length === 0) return {};
  return {
    parameters: names.map((name) => ({
      name,
      in: 'path',
      required: true,
      schema: refer('Id'),
      example: name === 'space' ? 'plaza' : 'chair',
    })),
  };
}

/** Answers that more than one route gives, by name. */
type SharedAnswers = Record<string, JsonObject>;

function describeRoute(route: Route, shared: SharedAnswers): JsonObject {
  const { operationId, tag, summary, description, access, query = {}, headers = [], body } = route;
  const everywhere: HeaderName[] = ['X-Request-Id', 'traceresponse'];
  if (typeof access !== 'string') everywhere.push('RateLimit', 'RateLimit-Policy');
  // A write of a world may be answered before its commit.
  if (202 in route.answers) everywhere.push('X-Durability');
  const answers = Object.entries(route.answers).map(
    ([status, answer]) => [status, describeAnswer(answer, everywhere)] as const,
  );
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: describeSecurity(route),
    parameters: [
      ...Object.entries(query).map(([name, { schema, ...rest }]) => ({
        name,
        in: 'query',
        ...rest,
        schema: convert(schema),
      })),
      ...[...headers, 'X-Request-Id' as const, 'traceparent' as const].map(referParameter),
    ],
    ...(body !== undefined && { requestBody: { required: true, content: describeContent(body) } }),
    responses: addProblems(Object.fromEntries(answers), listProblems(route), everywhere, shared),
  };
}

function describeSecurity({ access }: Route): JsonValue {
  if (access === 'open') return [];
  if (access === 'signed') return [{ qstashSignature: [] }];
  if (access === 'metrics') return [{ metricsToken: [] }];
  if (access === 'optional') return [{}, { apiKey: ['read'] }];
  const [scope, role] = access;
  return [{ apiKey: [scope] }, ...(role === undefined ? [] : [{ sessionToken: [role] }])];
}

function describeAnswer(
  { description, headers = [], content }: AnswerDoc,
  everywhere: readonly HeaderName[],
): JsonObject {
  return {
    description,
    headers: describeHeaders([...everywhere, ...headers]),
    ...(content !== undefined && { content: describeContent(content) }),
  };
}

/** A status may be an answer of the route and a problem too, of two media types; a problem alone is shared. */
function addProblems(
  answers: Record<string, JsonObject>,
  codes: readonly ProblemCode[],
  everywhere: readonly HeaderName[],
  shared: SharedAnswers,
): JsonObject {
  const all: JsonObject = { ...answers };
  for (const [status, same] of groupProblems(codes)) {
    const answer = answers[status];
    const name = [...same, ...(everywhere.includes('RateLimit') ? [] : ['open'])].join('.');
    if (answer === undefined) {
      shared[name] ??= addHeaders(describeProblem(same, status), everywhere);
      all[status] = { $ref: `#/components/responses/${name}` };
      continue;
    }
    const problem = describeProblem(same, status);
    all[status] = {
      description: `${answer.description} ${problem.description}`,
      headers: { ...asObject(answer.headers), ...asObject(problem.headers) },
      content: { ...asObject(answer.content), ...asObject(problem.content) },
    };
  }
  return all;
}

function addHeaders(answer: JsonObject, names: readonly HeaderName[]): JsonObject {
  return { ...answer, headers: { ...describeHeaders(names), ...asObject(answer.headers) } };
}

function describeContent(content: Readonly<Record<string, ContentDoc>>): JsonObject {
  return Object.fromEntries(
    Object.entries(content).map(([mediaType, { schema, examples }]) => {
      const shown = Object.entries(examples).map(([name, value]) => [name, { value }] as const);
      return [
        mediaType,
        {
          schema: describeSchema(schema),
          ...(shown.length > 0 && { examples: Object.fromEntries(shown) }),
        },
      ];
    }),
  );
}

function describeSchema(schema: ContentDoc['schema']): JsonObject {
  if (typeof schema === 'string') return refer(schema);
  return isList(schema) ? { anyOf: schema.map(refer) } : schema;
}

function isList<T>(value: readonly T[] | object): value is readonly T[] {
  return Array.isArray(value);
}

function asObject(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
