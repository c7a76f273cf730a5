/** An answer that is no success. Its message is for the person. */
export class Refused extends Error {
  /** 0: no answer came. */
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the server has no such route, or not in this configuration. */
  get isMissing(): boolean {
    return this.status === 501 || (this.status === 404 && this.code === 'not_found');
  }
}

export interface CallOptions {
  json?: unknown;
  headers?: Record<string, string>;
  query?: Record<string, string | number | null | undefined>;
  /** A status that is an answer too, and no failure. */
  accepted?: number;
}

export interface Page<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** Calls of the server with one key, which only this object has. */
export class Server {
  readonly #key: string;
  readonly #signal: AbortSignal;
  readonly #onUnauthorized: () => void;

  /** @param signal ends all calls, when the person signs out */
  constructor(key: string, { signal, onUnauthorized }: { signal: AbortSignal; onUnauthorized: () => void }) {
    this.#key = key;
    this.#signal = signal;
    this.#onUnauthorized = onUnauthorized;
  }

  /** The answer's JSON; null without a body. @throws Refused */
  async call<Answer>(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const text = await (await this.send(method, path, options)).text();
    return (text === '' ? null : JSON.parse(text)) as Answer;
  }

  /** @throws Refused */
  async send(
    method: string,
    path: string,
    { json, headers, query, accepted }: CallOptions = {},
  ): Promise<Response> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    let answer: Response;
    try {
      answer = await fetch(buildPath(path, query), {
        method,
        headers: {
          Authorization: `Bearer ${this.#key}`,
          ...(json !== undefined && { 'Content-Type': type }),
          ...headers,
        },
        ...(json !== undefined && { body: JSON.stringify(json) }),
        // The answers hold personal data: no cache may keep them.
        cache: 'no-store',
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        signal: this.#signal,
      });
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw new Refused(0, 'no_answer', 'The server does not answer.');
    }
    if (answer.ok || answer.status === accepted) return answer;
    const refused = await readRefusal(answer);
    if (refused.status === 401) this.#onUnauthorized();
    throw refused;
  }
}

/** The path with the given parts of the query. Absent and empty ones are left out. */
export function buildPath(path: string, query: CallOptions['query'] = {}): string {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return given.length === 0 ? path : `${path}?${search}`;
}

/** A part of a path. Ids need no escaping, but a person may type anything. */
export const encodeId = (id: string): string => encodeURIComponent(id);

async function readRefusal(answer: Response): Promise<Refused> {
  const { status } = answer;
  try {
    const { code, detail, errors } = (await answer.json()) as Problem;
    const places = (errors ?? []).map(({ path, message }) => `${path} ${message}`.trim());
    return new Refused(
      status,
      code,
      places.length === 0 ? detail : `${detail} ${places.join('; ')}${places.length > 0 ? '.' : ''}`,
    );
  } catch {
    return new Refused(status, 'unknown', `The server answered ${status}.`);
  }
}

interface Problem {
  code: string;
  detail: string;
  errors?: { path: string; message: string }[];
}

/** Says in one sentence why a call failed. */
export function describeFailure(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
