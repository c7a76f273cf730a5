import type { Chance } from '../../../test/log/chance.ts';

/** A network between a client and a server that fails at random, until it is repaired. */
export interface FaultyNetwork {
  fetch: typeof fetch;
  /** Ends all faults. Streams that are slow or cut stay so; new ones are not. */
  repair(): void;
  /** The number of faults so far, by name. */
  readonly faults: Record<string, number>;
}

const DELAY_MS_MAX = 25;

/**
 * @param readUrl the current address of the server, which may change when it restarts
 * @param rate the part of requests that meet a fault
 */
export function makeFaultyNetwork(chance: Chance, readUrl: () => string, rate: number): FaultyNetwork {
  const faults: Record<string, number> = {};
  let isFaulty = true;
  const late: (() => Promise<void>)[] = [];
  const count = (name: string) => {
    faults[name] = (faults[name] ?? 0) + 1;
  };
  const delay = () => new Promise((resolve) => setTimeout(resolve, chance.below(DELAY_MS_MAX)));

  async function send(input: string, init: RequestInit): Promise<Response> {
    const url = new URL(input);
    return fetch(new URL(url.pathname + url.search, readUrl()), init);
  }

  /** A stream that ends after some events, in the middle of one. */
  function cut(response: Response): Response {
    let left = chance.below(1_000);
    const cutter = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) controller.terminate();
      },
    });
    const { status, headers } = response;
    return new Response(response.body?.pipeThrough(cutter) ?? null, { status, headers });
  }

  return {
    faults,
    repair() {
      isFaulty = false;
    },
    async fetch(input, init = {}) {
      const request = () => send(String(input), init);
      if (!isFaulty) return request();
      // An old request reaches the server after newer ones, and nobody reads its answer.
      if (late.length > 0 && chance.is(0.3)) await late.shift()?.();
      if (chance.is(0.3)) await delay();
      if (!chance.is(rate)) return request();
      const isStream = String(input).includes('/stream');
      const isWrite = init.method === 'POST';
      const kind = chance.below(5);
      if (isStream) {
        count('stream cut');
        return cut(await request());
      }
      if (kind === 0) {
        count('request lost');
        throw new TypeError('request lost');
      }
      if (kind === 1) {
        count('answer lost');
        await (await request()).text();
        throw new TypeError('answer lost');
      }
      if (kind === 2 && isWrite) {
        count('request late');
        late.push(async () => {
          await (await send(String(input), { ...init, signal: null })).text();
        });
        throw new TypeError('request late');
      }
      if (kind === 3 && isWrite) {
        count('request doubled');
        const [answer] = await Promise.all([request(), request().then((other) => other.text())]);
        return answer;
      }
      count('answer late');
      const answer = await request();
      await delay();
      return answer;
    },
  };
}
