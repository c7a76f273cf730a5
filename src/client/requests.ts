import { type FieldError, WorldkeepError } from './errors.ts';

/** A token, or a function that gets a new one when the server refuses the last one. */
export type TokenSource = string | (() => string | Promise<string>);

/** Milliseconds after which a request without its whole answer has failed, and a hook without a token. A large state takes the longest. */
const ANSWER_MS_MAX = 60_000;
const TOKEN_CODES = new Set(['no_token', 'other_person']);

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  /** The answer has no end, so the request has no time limit. */
  isStream?: boolean;
}

/** Requests to one space, with the token in a header. */
export class Requests {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  #source: TokenSource;
  #token: Promise<string> | null = null;
  /** Ends the wait for a hook. */
  #giveUp: () => void = () => undefined;
  /** The person of the last session token; null for an API key, and before a function has given a token. */
  subject: string | null = null;
  /** The tenant of the first token. */
  #tenant = '';

  /** @param url the address of the server. @throws invalid_url */
  constructor(url: string | URL, space: string, token: TokenSource, send: typeof fetch) {
    if (!URL.canParse(`${url}`) || !/^https?:/.test(`${url}`))
      throw new WorldkeepError('invalid_url', `"${url}" is not an address such as https://worlds.example.`);
    this.#base = `${`${url}`.replace(/\/$/, '')}/v1/spaces/${encodeURIComponent(space)}`;
    this.#fetch = send;
    this.#source = token;
    if (typeof token === 'string') this.#noteSubject(token);
  }

  /** The next request uses this token. @throws WorldkeepError `other_person` */
  setToken(token: TokenSource): void {
    if (typeof token === 'string') this.#noteSubject(token);
    this.#source = token;
    this.#token = null;
    this.#giveUp();
  }

  /** The tenant and the person, as one name. No id has a space. */
  get owner(): string {
    return `${this.#tenant} ${this.subject ?? ''}`;
  }

  /** Whether a refused token can be replaced by a new one. */
  get canRenew(): boolean {
    return typeof this.#source !== 'string';
  }

  /** The current token. @throws WorldkeepError `no_token` if the function that gets tokens fails */
  readToken(): Promise<string> {
    this.#token ??= this.#getToken();
    return this.#token;
  }

  async #getToken(): Promise<string> {
    let token: string;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.#giveUp = reject;
    const timer = setTimeout(reject, ANSWER_MS_MAX);
    try {
      token = typeof this.#source === 'string' ? this.#source : await Promise.race([this.#source(), promise]);
    } catch (cause) {
      throw new WorldkeepError(
        'no_token',
        `The function that gets tokens failed: ${cause ?? 'it gave none'}`,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
    this.#noteSubject(token);
    return token;
  }

  /** A world is for one person: its unsent changes must not go out in the name of another. */
  #noteSubject(token: string): void {
    const { sub: subject = null, tenant = '' } = readClaims(token);
    if (subject !== null && subject !== (this.subject ?? subject))
      throw new WorldkeepError('other_person', 'This token is of another person: connect again.');
    this.subject ??= subject;
    this.#tenant ||= tenant;
  }

  /**
   * Sends a request; a refused token is renewed once. @throws WorldkeepError for every answer other than 2xx
   */
  async send(path: string, options: RequestOptions): Promise<Response> {
    let token = this.readToken();
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#sendOnce(path, await token, options);
      } catch (error) {
        const { code, status } = error as WorldkeepError;
        const isRefused = status === 401;
        if (!isRefused && !TOKEN_CODES.has(code)) throw error;
        // `setToken` may have come while the request was on its way.
        const isCurrent = token === this.#token;
        if (isCurrent) this.#token = null;
        if (attempt > 0 || (isCurrent && !(isRefused && this.canRenew))) throw error;
        token = this.readToken();
      }
    }
  }

  /** The same, for an answer in JSON. */
  async sendJson<Answer extends object>(path: string, options: RequestOptions): Promise<Answer> {
    const response = await this.send(path, options);
    const answer = (await response.json().catch(() => null)) as Answer | null;
    if (typeof answer !== 'object' || answer === null) throw notWorldkeep(response);
    return answer;
  }

  async #sendOnce(path: string, token: string, options: RequestOptions): Promise<Response> {
    const { isStream = false, headers, signal, ...rest } = options;
    let response: Response;
    try {
      response = await this.#fetch.call(undefined, `${this.#base}${path}`, {
        ...rest,
        cache: 'no-store',
        // A redirected POST would become a GET.
        redirect: rest.body === undefined ? 'follow' : 'manual',
        headers: { Authorization: `Bearer ${token}`, ...headers },
        signal: isStream ? signal : AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]),
      });
    } catch (cause) {
      throw new WorldkeepError(
        'unreachable',
        `No answer from ${this.#base}. Check the address, and CORS_ALLOWED_ORIGINS.`,
        { cause },
      );
    }
    const type = response.headers.get('Content-Type') ?? '';
    if (response.ok && (isStream ? type.startsWith('text/event-stream') : type.includes('json')))
      return response;
    throw await readProblem(response, type);
  }
}

async function readProblem(response: Response, type: string): Promise<WorldkeepError> {
  const problem = (await response.json().catch(() => null)) as {
    code?: string;
    detail?: string;
    errors?: FieldError[];
  } | null;
  if (!type.includes('json') || typeof problem?.code !== 'string') return notWorldkeep(response);
  const after = Number(response.headers.get('Retry-After') ?? Number.NaN);
  const { detail = `The server answered ${response.status}.`, errors: [first] = [] } = problem;
  const message = first === undefined ? detail : `${detail} ${first.path}: ${first.message}`;
  return new WorldkeepError(problem.code, message, {
    status: response.status,
    errors: problem.errors ?? [],
    retryAfterSeconds: Number.isFinite(after) ? after : null,
  });
}

function notWorldkeep(response: Response): WorldkeepError {
  return new WorldkeepError(
    'not_worldkeep',
    `${response.url} answered ${response.status} with ${response.headers.get('Content-Type')}: it is not worldkeep.`,
    { status: response.status },
  );
}

/** The person and the tenant of a session token, or the tenant of an API key: `wk_<tenant>_<secret>`. The server checks the token, not this client. */
function readClaims(token: string): { sub?: string; tenant?: string } {
  try {
    const [, claims = ''] = token.split('.');
    return JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    return { tenant: token.replace(/^wk_(.*)_.*$/, '$1') };
  }
}
