import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { FieldError } from '../world/errors.ts';
import type { Bounds, JsonObject, Page, SaveMode } from '../world/types.ts';
import type { Connection } from './connection.ts';
import { CommandError, systemCode } from './errors.ts';
import { StateReader } from './state-lines.ts';

/** A small request is given up after this. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A whole world takes longer: many MiB over a slow line, and a large transaction behind it. */
const WORLD_TIMEOUT_MS = 15 * 60_000;
const UPLOAD_CHUNK_BYTES = 64 * 1024;
export const NDJSON = 'application/x-ndjson';

const erasedSchema = z.object({ erased: z.record(z.string(), z.number()) });
/** The numbers of erased rows and keys, by kind. */
export type ErasedAnswer = z.infer<typeof erasedSchema>['erased'];

const spaceSchema = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  settings: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null),
  bounds: z.custom<Bounds>((value) => typeof value === 'object').nullable(),
});
/** The members of a space that a caller may put. */
export type SpaceAnswer = z.infer<typeof spaceSchema>;

const statisticsSchema = z.object({ objects: z.number() });

const savedSchema = z.object({ seq: z.number(), durability: z.string() });
export type SavedState = z.infer<typeof savedSchema>;

const keysSchema = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      tenantId: z.string(),
      scopes: z.array(z.string()),
      createdAt: z.string(),
      expiresAt: z.string().nullable(),
      revokedAt: z.string().nullable(),
    }),
  ),
  nextCursor: z.string().nullable(),
});
export type ListedKey = z.infer<typeof keysSchema>['items'][number];

const objectIdsSchema = z.object({
  items: z.array(z.object({ id: z.string() })),
  nextCursor: z.string().nullable(),
});

const userSchema = z.object({
  displayName: z.string(),
  avatarUrl: z.string().nullable(),
  properties: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null),
});
/** The members of a person that a caller may put. */
export type UserAnswer = z.infer<typeof userSchema>;

const sessionSchema = z.object({ token: z.string(), expiresAt: z.string() });
export type SessionAnswer = z.infer<typeof sessionSchema>;

const PAGE_ITEMS = '1000';

const modelSchema = z.object({ id: z.string() });
const MODEL_TYPE = 'model/gltf-binary';
const modelsSchema = z.object({ items: z.array(modelSchema) });
const uploadSchema = z.object({ id: z.string(), partBytes: z.number(), missing: z.array(z.number()) });
/** Bytes of a model in one request. The default limit of a server is a little higher. */
const MODEL_BYTES_AT_ONCE = 90 * 1024 * 1024;

const problemSchema = z.object({
  code: z.string().optional(),
  title: z.string().optional(),
  detail: z.string().optional(),
  requestId: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

interface RequestOptions {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: { bytes: Uint8Array; onSent?: ((bytes: number) => void) | undefined; type?: string };
  accept?: string;
  timeoutMs?: number;
  expected: readonly number[];
}

/** The HTTP API as the commands need it. Every failure is a CommandError that a reader understands without the code. */
export class Api {
  readonly #connection: Connection;
  readonly #signal: AbortSignal | undefined;

  /** @param signal aborted when the user interrupts; later clean-up requests ignore it. */
  constructor(connection: Connection, signal?: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  /** @returns null where there is no such space. */
  async getSpace(space: string): Promise<SpaceAnswer | null> {
    const response = await this.#request('GET', spacePath(space), { expected: [200, 404] });
    const text = await response.text();
    return response.status === 404 ? null : readAnswer(spaceSchema, text);
  }

  /** The objects of a space that are committed. */
  async countObjects(space: string): Promise<number> {
    const response = await this.#request('GET', `${spacePath(space)}/statistics`, { expected: [200] });
    return readAnswer(statisticsSchema, await response.text()).objects;
  }

  /** @returns whether the space was made by this; false where it was there already. */
  async putSpace(space: string, input: object): Promise<boolean> {
    const bytes = new TextEncoder().encode(JSON.stringify(input));
    const response = await this.#request('PUT', spacePath(space), { body: { bytes }, expected: [200, 201] });
    await response.body?.cancel();
    return response.status === 201;
  }

  /** Also works when the user has interrupted: it is how a half-done command is undone. */
  async deleteSpace(space: string): Promise<void> {
    const response = await this.#request(
      'DELETE',
      spacePath(space),
      { expected: [200, 204, 404] },
      { heedsInterrupt: false },
    );
    await response.body?.cancel();
  }

  /** @param body a state as JSON, or line by line as NDJSON. */
  async putState(
    space: string,
    mode: SaveMode,
    body: { bytes: Uint8Array; type: 'application/json' | typeof NDJSON },
    onSent: (bytes: number) => void,
  ): Promise<SavedState> {
    const response = await this.#request('PUT', `${spacePath(space)}/state`, {
      query: { mode },
      body: { ...body, onSent },
      timeoutMs: WORLD_TIMEOUT_MS,
      // 202: the world has its place in the order, and Postgres does not have it yet.
      expected: [200, 202],
    });
    return readAnswer(savedSchema, await response.text());
  }

  /** @returns the state as JSON, of any size, or null where there is no such space. */
  async getState(space: string, onReceived: (bytes: number) => void): Promise<Uint8Array | null> {
    const response = await this.#request('GET', `${spacePath(space)}/state`, {
      accept: NDJSON,
      timeoutMs: WORLD_TIMEOUT_MS,
      expected: [200, 404],
    });
    if (response.status === 404) {
      await response.body?.cancel();
      return null;
    }
    const reader = new StateReader();
    let received = 0;
    try {
      for await (const chunk of response.body ?? []) {
        reader.read(chunk);
        received += chunk.length;
        onReceived(received);
      }
    } catch (error) {
      throw error instanceof CommandError ? error : this.#unreachable(error, 'the answer was cut off');
    }
    return reader.finish();
  }

  /**
   * Stores a glTF file in the library, unless a model has these bytes already.
   * @returns the id of the model, and whether this call added it
   */
  async putModel(
    name: string,
    bytes: Uint8Array,
    onSent: (bytes: number) => void,
  ): Promise<{ id: string; isNew: boolean }> {
    const sha256 = createHash('sha256').update(bytes).digest();
    const found = await this.#request('GET', '/v1/models', {
      query: { sha256: sha256.toString('hex'), limit: '1' },
      expected: [200],
    });
    const [known] = readAnswer(modelsSchema, await found.text()).items;
    if (known !== undefined) return { id: known.id, isNew: false };
    if (bytes.length > MODEL_BYTES_AT_ONCE)
      return { id: await this.#putModelInParts(name, bytes, onSent), isNew: true };
    try {
      const posted = await this.#request('POST', '/v1/models', {
        query: { name },
        headers: { 'repr-digest': `sha-256=:${sha256.toString('base64')}:` },
        body: { bytes, type: MODEL_TYPE, onSent },
        timeoutMs: WORLD_TIMEOUT_MS,
        expected: [201],
      });
      return { id: readAnswer(modelSchema, await posted.text()).id, isNew: true };
    } catch (error) {
      // The server's limit for one request is lower.
      if (!(error instanceof CommandError && error.code === 'body_too_large')) throw error;
      return { id: await this.#putModelInParts(name, bytes, onSent), isNew: true };
    }
  }

  async #putModelInParts(name: string, bytes: Uint8Array, onSent: (bytes: number) => void): Promise<string> {
    const uploads = '/v1/models/uploads';
    const input = new TextEncoder().encode(
      JSON.stringify({ name, bytes: bytes.length, contentType: MODEL_TYPE }),
    );
    const begun = await this.#request('POST', uploads, { body: { bytes: input }, expected: [201] });
    const { id, partBytes, missing } = readAnswer(uploadSchema, await begun.text());
    for (const part of missing) {
      const start = (part - 1) * partBytes;
      const stored = await this.#request('PUT', `${uploads}/${id}/parts/${part}`, {
        body: {
          bytes: bytes.subarray(start, start + partBytes),
          type: 'application/octet-stream',
          onSent: (sent) => onSent(start + sent),
        },
        timeoutMs: WORLD_TIMEOUT_MS,
        expected: [204],
      });
      await stored.body?.cancel();
    }
    const joined = await this.#request('POST', `${uploads}/${id}/complete`, {
      timeoutMs: WORLD_TIMEOUT_MS,
      expected: [201],
    });
    return readAnswer(modelSchema, await joined.text()).id;
  }

  /** Also works when the user has interrupted. */
  async deleteModel(id: string): Promise<void> {
    const path = `/v1/models/${encodeURIComponent(id)}`;
    const options = { expected: [204, 404] };
    const response = await this.#request('DELETE', path, options, { heedsInterrupt: false });
    await response.body?.cancel();
  }

  /** @returns the bytes of a model, or null if the library does not have them. */
  async getModelFile(id: string): Promise<Uint8Array | null> {
    const response = await this.#request('GET', `/v1/models/${encodeURIComponent(id)}/file`, {
      accept: '*/*',
      timeoutMs: WORLD_TIMEOUT_MS,
      expected: [200, 404],
    });
    if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
    await response.body?.cancel();
    return null;
  }

  async listKeys(): Promise<ListedKey[]> {
    const keys: ListedKey[] = [];
    for await (const page of this.#readPages('/v1/keys', keysSchema)) keys.push(...page);
    return keys;
  }

  /** @returns null if there is no such person. */
  async getUser(id: string): Promise<UserAnswer | null> {
    const response = await this.#request('GET', userPath(id), { expected: [200, 404] });
    const text = await response.text();
    return response.status === 404 ? null : readAnswer(userSchema, text);
  }

  /** Resets the members that are absent. */
  async putUser(id: string, user: Partial<UserAnswer>): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(user));
    const response = await this.#request('PUT', userPath(id), { body: { bytes }, expected: [200, 201] });
    await response.body?.cancel();
  }

  /** Erases a person with all sessions. */
  async deleteUser(id: string): Promise<void> {
    const response = await this.#request('DELETE', userPath(id), { expected: [204, 404] });
    await response.body?.cancel();
  }

  /** Erases a person. @returns the numbers of erased rows and keys; null if nothing is left of them */
  async eraseUser(id: string): Promise<ErasedAnswer | null> {
    const response = await this.#request('DELETE', userPath(id), {
      headers: { prefer: 'return=representation' },
      timeoutMs: WORLD_TIMEOUT_MS,
      expected: [200, 404],
    });
    const text = await response.text();
    return response.status === 404 ? null : readAnswer(erasedSchema, text).erased;
  }

  /** @returns all that is stored of a person, as it comes in; null if there is no such person */
  async exportUser(id: string): Promise<AsyncIterable<Uint8Array> | null> {
    const response = await this.#request('GET', `${userPath(id)}/export`, {
      timeoutMs: WORLD_TIMEOUT_MS,
      expected: [200, 404],
    });
    if (response.status === 200) return response.body;
    await response.body?.cancel();
    return null;
  }

  /** @returns a new session; null if the server has no key to sign its token. */
  async postSession(session: {
    userId: string;
    spaceId: string;
    role: string;
    ttlSeconds: number;
  }): Promise<SessionAnswer | null> {
    const bytes = new TextEncoder().encode(JSON.stringify(session));
    try {
      const response = await this.#request('POST', '/v1/sessions', { body: { bytes }, expected: [201] });
      return readAnswer(sessionSchema, await response.text());
    } catch (error) {
      if (error instanceof CommandError && error.code === 'no_signing_key') return null;
      throw error;
    }
  }

  /** Deletes up to 1,000 objects in one request. Absent ones do no harm. */
  async deleteObjects(space: string, ids: readonly string[]): Promise<void> {
    const ops = ids.map((id) => ({ op: 'delete', id }));
    const response = await this.#request('POST', `${spacePath(space)}/updates`, {
      headers: { prefer: 'wait' },
      body: { bytes: new TextEncoder().encode(JSON.stringify({ ops })) },
      expected: [200, 202],
    });
    await response.body?.cancel();
  }

  /** The ids of a space's objects, as far as they are committed. */
  async listObjectIds(space: string): Promise<Set<string>> {
    const ids = new Set<string>();
    for await (const page of this.#readPages(`${spacePath(space)}/objects`, objectIdsSchema))
      for (const { id } of page) ids.add(id);
    return ids;
  }

  async *#readPages<T>(path: string, schema: z.ZodType<Page<T>>): AsyncGenerator<T[]> {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const response = await this.#request('GET', path, {
        query: { limit: PAGE_ITEMS, ...(cursor !== '' && { cursor }) },
        expected: [200],
      });
      const page: Page<T> = readAnswer(schema, await response.text());
      yield page.items;
      cursor = page.nextCursor;
    }
  }

  /** @returns false where the tenant has no such key. */
  async revokeKey(id: string): Promise<boolean> {
    const response = await this.#request('DELETE', `/v1/keys/${encodeURIComponent(id)}`, {
      expected: [204, 404],
    });
    await response.body?.cancel();
    return response.status === 204;
  }

  async #request(
    method: string,
    path: string,
    {
      query = {},
      headers: given = {},
      body,
      accept = 'application/json',
      timeoutMs = REQUEST_TIMEOUT_MS,
      expected,
    }: RequestOptions,
    { heedsInterrupt = true } = {},
  ): Promise<Response> {
    const { url, apiKey } = this.#connection;
    const target = new URL(url + path);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, value);
    const headers: Record<string, string> = { ...given, authorization: `Bearer ${apiKey}`, accept };
    if (body !== undefined) {
      headers['content-type'] = body.type ?? 'application/json';
      headers['content-length'] = String(body.bytes.length);
    }
    const signals = [AbortSignal.timeout(timeoutMs)];
    if (heedsInterrupt && this.#signal !== undefined) signals.push(this.#signal);
    let response: Response;
    try {
      response = await fetch(target, {
        method,
        headers,
        redirect: 'error',
        signal: AbortSignal.any(signals),
        ...(body !== undefined && { body: streamBytes(body.bytes, body.onSent), duplex: 'half' }),
      });
    } catch (error) {
      throw this.#unreachable(error, 'no answer');
    }
    if (expected.includes(response.status)) return response;
    throw await readProblem(response, this.#connection);
  }

  #unreachable(error: unknown, what: string): CommandError {
    if (this.#signal?.aborted) return new CommandError('interrupted', 'interrupted');
    const reason =
      error instanceof DOMException && error.name === 'TimeoutError'
        ? 'it took too long'
        : (systemCode(error) ?? (error instanceof Error ? error.message : String(error)));
    const hint = reason === 'ECONNREFUSED' ? ' (is it running? npm run dev starts the local stack)' : '';
    return new CommandError(
      'unreachable',
      `${what} from ${this.#connection.url}: ${reason}${hint}`,
      {},
      error,
    );
  }
}

function spacePath(space: string): string {
  return `/v1/spaces/${encodeURIComponent(space)}`;
}

function userPath(id: string): string {
  return `/v1/users/${encodeURIComponent(id)}`;
}

/** The bytes in pieces, each counted when the connection has asked for the next: what has gone out, near enough. */
function streamBytes(bytes: Uint8Array, onSent: (bytes: number) => void = () => {}): ReadableStream {
  let at = 0;
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      onSent(at);
      if (at >= bytes.length) return controller.close();
      const end = Math.min(at + UPLOAD_CHUNK_BYTES, bytes.length);
      // A copy: a byte stream takes over the buffer that it receives.
      controller.enqueue(new Uint8Array(bytes.subarray(at, end)));
      at = end;
    },
  });
}

async function readProblem(response: Response, { keyFrom }: Connection): Promise<CommandError> {
  const text = await response.text().catch(() => '');
  const problem = problemSchema.safeParse(parseOrNull(text)).data ?? {};
  const errors: FieldError[] = problem.errors ?? [];
  const said =
    problem.detail ?? problem.title ?? `it answered ${response.status} ${response.statusText}`.trim();
  const [first] = errors;
  const where = first === undefined ? '' : ` (${first.path === '' ? '' : `${first.path} `}${first.message})`;
  const requestId = problem.requestId ?? response.headers.get('x-request-id') ?? undefined;
  const after = response.headers.get('retry-after');
  const retry = after === null ? '' : ` Retry in ${after} s.`;
  const advice = response.status === 401 ? ` Check ${keyFrom}.` : '';
  return new CommandError(
    problem.code ?? 'http_error',
    `the server refused: ${said}${where}${retry}${advice}`,
    {
      status: response.status,
      ...(errors.length > 0 && { errors }),
      ...(requestId !== undefined && { requestId }),
    },
  );
}

function readAnswer<T>(schema: z.ZodType<T>, text: string): T {
  const answer = schema.safeParse(parseOrNull(text));
  if (answer.success) return answer.data;
  throw new CommandError('unexpected_answer', 'the server answered in a form that is not known here');
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
