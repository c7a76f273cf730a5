import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { buildDocument } from '../../functions/openapi/document.ts';
import { ROUTES } from '../../functions/routes/index.ts';
import type { JsonObject } from '../../src/world/types.ts';

type SchemaCheck = (schema: JsonObject, value: unknown) => string[];

/** @returns the errors of a value by a schema of the document, each with its path; empty if the value is valid. */
export function createSchemaCheck(document: JsonObject): SchemaCheck {
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  formats.default(ajv);
  const { schemas } = document.components as { schemas: JsonObject };
  ajv.addSchema({ $id: 'https://worldkeep.test/', components: { schemas } });
  const compiled = new Map<JsonObject, ReturnType<typeof ajv.compile>>();
  return (schema, value) => {
    let validate = compiled.get(schema);
    if (validate === undefined) {
      validate = ajv.compile(rebase(schema));
      compiled.set(schema, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}

/** Makes the references of a schema absolute, because they point into the whole document. */
function rebase(schema: JsonObject): JsonObject {
  return JSON.parse(
    JSON.stringify(schema).replaceAll('"#/components', '"https://worldkeep.test/#/components'),
  );
}

interface Operation {
  requestBody?: { content: Record<string, { schema: JsonObject }> };
  responses: Record<string, DescribedAnswer | { $ref: string }>;
}
interface DescribedAnswer {
  headers: Record<string, unknown>;
  content?: Record<string, { schema: JsonObject }>;
}

export interface Exchange {
  method: string;
  path: string;
  /** The JSON of the request; undefined without one. */
  sent: unknown;
  sentType: string;
  status: number;
  headers: Headers;
  text: string;
}

const HEADERS_DESCRIBED = [
  'etag',
  'location',
  'retry-after',
  'www-authenticate',
  'allow',
  'accept-patch',
  'ratelimit',
  'ratelimit-policy',
  'traceresponse',
];

const document = buildDocument(ROUTES);
const check = createSchemaCheck(document);
const operations = listOperations();

/**
 * Compares one exchange with the API description, which must contain its status, headers, media type and body. The body
 * of an accepted request must also be valid by its schema. @returns a sentence about the first difference, or null.
 */
export function findUndescribed(exchange: Exchange): string | null {
  const { method, status, headers } = exchange;
  const [path = ''] = exchange.path.split('?');
  const here = operations.filter(({ pattern }) => pattern.test(path));
  const operation = here.find((known) => known.method === (method === 'HEAD' ? 'GET' : method))?.operation;
  if (operation === undefined) {
    // Another test compares the list of routes. Here, an unknown method of a known path must be 405.
    if (here.length === 0 || method === 'OPTIONS' || exchange.text.includes('"code":"misconfigured"'))
      return null;
    return status === 405 ? null : `${method} is not described`;
  }
  const answer = resolve(operation.responses[status]);
  if (answer === undefined) return `the status ${status} is not described`;
  const names = new Set(Object.keys(answer.headers).map((name) => name.toLowerCase()));
  const other = HEADERS_DESCRIBED.find((name) => headers.has(name) && !names.has(name));
  if (other !== undefined) return `the header ${other} is not described with ${status}`;
  return findWrongAnswer(answer, exchange) ?? (status < 300 ? findWrongInput(operation, exchange) : null);
}

function resolve(answer: DescribedAnswer | { $ref: string } | undefined): DescribedAnswer | undefined {
  if (answer === undefined || !('$ref' in answer)) return answer;
  const { responses } = document.components as unknown as { responses: Record<string, DescribedAnswer> };
  return responses[answer.$ref.slice('#/components/responses/'.length)];
}

function findWrongAnswer({ content = {} }: DescribedAnswer, { method, status, headers, text }: Exchange) {
  if (text === '')
    return method === 'HEAD' || Object.keys(content).length === 0 ? null : `${status} has no body`;
  const type = headers.get('Content-Type')?.split(';')[0] ?? '';
  const schema = content[type]?.schema;
  if (schema === undefined) return `${status} as ${type} is not described`;
  const wrong = readValues(type, text).flatMap((value) => check(schema, value));
  return wrong.length === 0
    ? null
    : `the answer ${status} is not as described: ${wrong.slice(0, 5).join('; ')}`;
}

/** The values that the schema of a media type describes: the text as JSON, or each of its lines. */
function readValues(type: string, text: string): unknown[] {
  if (type === 'application/x-ndjson')
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  return /\bjson$/.test(type) ? [JSON.parse(text)] : [];
}

function findWrongInput({ requestBody }: Operation, { sent, sentType }: Exchange): string | null {
  if (sent === undefined) return null;
  const schema = requestBody?.content[sentType]?.schema;
  if (schema === undefined) return `a body of ${sentType} was taken, and is not described`;
  const wrong = check(schema, sent);
  return wrong.length === 0 ? null : `what was taken is not described: ${wrong.join('; ')}`;
}

function listOperations(): { pattern: RegExp; method: string; operation: Operation }[] {
  const paths = document.paths as unknown as Record<string, Record<string, Operation>>;
  return Object.entries(paths).flatMap(([path, item]) => {
    const pattern = new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
    return Object.entries(item)
      .filter(([member]) => member !== 'parameters')
      .map(([method, operation]) => ({ pattern, method: method.toUpperCase(), operation }));
  });
}
