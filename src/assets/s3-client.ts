import { AwsV4Signer } from 'aws4fetch';
import { bucketAway } from './bucket.ts';
import { findFixedLengthStream } from './fixed-length-stream.ts';
import { explainFailure, explainNoAnswer, readFailure, type S3Variables } from './s3-errors.ts';
import { XML_LENGTH_MAX } from './s3-xml.ts';
import { SilenceTimer, watchReads } from './silence-timer.ts';

export interface S3Options {
  /** The URL of the S3 server, without the bucket. It may have a path. */
  endpoint: string;
  bucket: string;
  /** Default `auto`, which R2 takes. */
  region?: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Milliseconds without progress after which a request fails. Default 10,000. */
  silenceMsMax?: number;
  /** Names of the settings, for messages. */
  variables: S3Variables;
}

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  key: string;
  /** Such as `?uploads=`. */
  query?: string;
  headers?: Record<string, string>;
  /** A stream needs its exact length. */
  body?: string | { stream: ReadableStream<Uint8Array>; bytes: number };
}

export interface S3Answer {
  status: number;
  headers: Headers;
  /** Reads on demand. */
  body: ReadableStream<Uint8Array>;
  /** Reads the rest as text. @throws store_unavailable for a text that is too long to be of S3 */
  text(): Promise<string>;
}

const SILENCE_MS_MAX = 10_000;

/** Requests to one bucket: signed with Signature Version 4, never repeated, with path-style URLs. */
export class S3Client {
  readonly #options: S3Options;
  readonly #base: string;
  /** Keys that aws4fetch derived, one for each day. */
  readonly #signingKeys = new Map<string, ArrayBuffer>();

  constructor(options: S3Options) {
    this.#options = options;
    this.#base = `${options.endpoint.replace(/\/+$/, '')}/${options.bucket}`;
  }

  /**
   * @param accepts statuses to return instead of throwing, in addition to 2xx
   * @throws store_unavailable, or the error of the answer's code; the body's own error is the cause of `store_unavailable`
   */
  async send(request: S3Request, accepts: readonly number[] = []): Promise<S3Answer> {
    const { variables } = this.#options;
    const answer = await this.#fetch(request);
    if ((answer.status >= 200 && answer.status < 300) || accepts.includes(answer.status)) return answer;
    throw explainFailure(readFailure(answer.status, await answer.text()), variables);
  }

  async #fetch(request: S3Request): Promise<S3Answer> {
    const { silenceMsMax = SILENCE_MS_MAX, variables } = this.#options;
    const stopping = new AbortController();
    const stop = () =>
      stopping.abort(
        bucketAway(`The S3 server at ${variables.endpoint} made no progress for ${silenceMsMax} ms.`),
      );
    const timer = new SilenceTimer(silenceMsMax, stop);
    const explain = (error: unknown) =>
      stopping.signal.aborted ? stopping.signal.reason : explainNoAnswer(error, variables);
    try {
      const init = await this.#sign(request, timer);
      timer.start();
      const response = await fetch(init.url, { ...init, redirect: 'manual', signal: stopping.signal });
      return readAnswer(response, new SilenceTimer(silenceMsMax, stop), explain);
    } catch (error) {
      throw explain(error);
    } finally {
      timer.close();
    }
  }

  async #sign({ method, key, query = '', headers = {}, body }: S3Request, timer: SilenceTimer) {
    const { region = 'auto', accessKeyId, secretAccessKey } = this.#options;
    const signed = await new AwsV4Signer({
      method,
      url: `${this.#base}/${key}${query}`,
      headers,
      accessKeyId,
      secretAccessKey,
      service: 's3',
      region,
      cache: this.#signingKeys,
    }).sign();
    const init = { method, url: signed.url.href, headers: signed.headers };
    if (body === undefined) return init;
    if (typeof body === 'string') return { ...init, body };
    // Without a length, fetch sends chunks, which S3 refuses. Node takes it from this header, Workers from the class of the stream.
    signed.headers.set('Content-Length', String(body.bytes));
    // A slow source is not the server's silence.
    const stream = watchReads(body.stream, {
      before: () => timer.stop(),
      after: () => timer.start(),
      explain: (error) => error,
    });
    const FixedLengthStream = findFixedLengthStream();
    const sized = FixedLengthStream ? stream.pipeThrough(new FixedLengthStream(body.bytes)) : stream;
    return { ...init, body: sized, duplex: 'half' as const };
  }
}

function readAnswer(
  { status, headers, body }: Response,
  timer: SilenceTimer,
  explain: (error: unknown) => unknown,
): S3Answer {
  const source: ReadableStream<Uint8Array> = body ?? new Blob([]).stream();
  const watched = watchReads(source, { before: () => timer.start(), after: () => timer.stop(), explain });
  return { status, headers, body: watched, text: () => readText(watched) };
}

async function readText(body: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > XML_LENGTH_MAX) throw bucketAway('The S3 server sent an answer that is too long.');
  }
  return text;
}
