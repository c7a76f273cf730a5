import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/world/types.ts';
import { createSchemaCheck } from '../../test/http/described.ts';
import { makeEnv } from '../../test/http/targets.ts';
import { createApp } from '../app.ts';
import { composeWorker } from '../compose-worker.ts';
import { PROBLEMS } from '../http/problem.ts';
import { ROUTES } from '../routes/index.ts';
import { buildDocument } from './document.ts';

const document = buildDocument(ROUTES);
const check = createSchemaCheck(document);

/** `GET /v1/spaces/{space}`, as the router has it. */
function listRouted(): string[] {
  const served = createApp(composeWorker(makeEnv())).routes.filter(({ method }) => method !== 'ALL');
  return [...new Set(served.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`))];
}

const described = ROUTES.map(({ method, path }) => `${method.toUpperCase()} ${path}`);

describe('the described API', () => {
  it('is OpenAPI 3.1 by its own schema', async () => {
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('has the routes that the router has, each once, and no others', () => {
    expect(described.toSorted()).toEqual(listRouted().toSorted());
    expect(new Set(ROUTES.map(({ operationId }) => operationId)).size).toBe(ROUTES.length);
  });

  it('asks for the scope that the route needs, and lets sessions in where it does', () => {
    const paths = document.paths as Record<string, Record<string, { security: JsonObject[] }>>;
    for (const { method, path, access } of ROUTES) {
      if (typeof access === 'string') continue;
      const [scope, role] = access;
      const security = paths[path]?.[method]?.security ?? [];
      expect(security, path).toEqual([
        { apiKey: [scope] },
        ...(role === undefined ? [] : [{ sessionToken: [role] }]),
      ]);
    }
    expect(paths['/health']?.get?.security).toEqual([{}, { apiKey: ['read'] }]);
  });

  it('names every code of an error where it can be met', () => {
    const text = JSON.stringify({ ...document, components: { responses: responses() } });
    const named = new Set(
      [...text.matchAll(/"enum":(\["[a-z_",]+"\])/g)].flatMap(([, list]) => JSON.parse(list ?? '')),
    );
    expect([...named].filter((code) => code in PROBLEMS).toSorted()).toEqual(
      Object.keys(PROBLEMS).toSorted(),
    );
  });

  it('gives examples that are valid by their schemas', () => {
    const examples = [...listExamples(document, '')];
    expect(examples.length).toBeGreaterThan(ROUTES.length);
    const wrong = examples.flatMap(([at, schema, value]) =>
      check(schema, value).map((what) => `${at}: ${what}`),
    );
    expect(wrong).toEqual([]);
  });

  it('refuses what the checks refuse: a member that is not known, a vector without z', () => {
    const schema = { $ref: '#/components/schemas/ObjectInput' };
    expect(check(schema, { position: { x: 1, y: 2, z: 3 } })).toEqual([]);
    for (const wrong of [
      { colour: 'red' },
      { position: { x: 1, y: 2 } },
      { parentId: 'a/b' },
      { properties: [] },
    ])
      expect(check(schema, wrong)).not.toEqual([]);
  });
});

it('lets pages send and read every header that a route describes', async () => {
  const app = createApp(composeWorker(makeEnv({ CORS_ALLOWED_ORIGINS: 'https://play.example' })));
  const preflight = { Origin: 'https://play.example', 'Access-Control-Request-Method': 'POST' };
  const asked = await app.request('/v1/models', { method: 'OPTIONS', headers: preflight });
  const answered = await app.request('/livez', { headers: { Origin: 'https://play.example' } });
  const list = (response: Response, name: string) =>
    new Set(response.headers.get(name)?.toLowerCase().split(','));
  const allowed = list(asked, 'Access-Control-Allow-Headers');
  const exposed = list(answered, 'Access-Control-Expose-Headers');
  // Browsers send the length of a body themselves.
  const sent = ROUTES.flatMap(({ headers = [] }) => headers).filter((name) => name !== 'Content-Length');
  expect(sent).toContain('Range');
  expect(sent.filter((name) => !allowed.has(name.toLowerCase()))).toEqual([]);
  const read = ROUTES.flatMap(({ answers }) => Object.values(answers)).flatMap(
    (answer) => answer.headers ?? [],
  );
  expect(read).toContain('Content-Range');
  expect(read.filter((name) => !exposed.has(name.toLowerCase()))).toEqual([]);
});

it('asks jobs for the signature of QStash, and for nothing else', () => {
  const paths = document.paths as Record<string, Record<string, { security: JsonObject[] }>>;
  const signed = ROUTES.filter(({ access }) => access === 'signed');
  expect(signed.map(({ path }) => path)).toEqual(
    described.flatMap((route) => route.match(/\/jobs\/.*/) ?? []),
  );
  for (const { path, method } of signed)
    expect(paths[path]?.[method]?.security).toEqual([{ qstashSignature: [] }]);
});

function responses(): JsonObject {
  return (document.components as { responses: JsonObject }).responses;
}

/** Every example with its schema: bodies, answers, parameters, headers. */
function* listExamples(node: unknown, at: string): Generator<[string, JsonObject, unknown]> {
  if (typeof node !== 'object' || node === null) return;
  const { schema, examples, example } = node as Record<string, unknown>;
  if (typeof schema === 'object' && schema !== null) {
    if (example !== undefined) yield [at, schema as JsonObject, example];
    for (const [name, { value }] of Object.entries((examples ?? {}) as Record<string, { value: unknown }>))
      yield [`${at} ${name}`, schema as JsonObject, value];
  }
  for (const [key, child] of Object.entries(node))
    if (key !== 'schemas' && key !== 'schema' && key !== 'examples')
      yield* listExamples(child, `${at}/${key}`);
}
