import { AppError } from '../world/errors.ts';

/** The part of a queue's configuration that a message needs. */
export interface QueueOptions {
  /** QStash's own, `https://qstash.upstash.io`. */
  url: string;
  token: string;
  /** Where QStash reaches this deployment. */
  publicUrl: string;
}

/** The space that is to be drained, and in how many seconds. */
export interface DrainMessage {
  tenantId: string;
  spaceId: string;
  delaySeconds: number;
}

export interface Queue {
  /**
   * Has QStash call `/jobs/drain` for a space, and again until it is answered well: three times more, over half an hour.
   * @throws store_unavailable where QStash did not say that it has the message.
   */
  publishDrain(message: DrainMessage): Promise<void>;
}

export const DRAIN_PATH = '/jobs/drain';

const TIMEOUT_MS = 5_000;

/**
 * Publishes by QStash's REST interface as it is: its client is 18 KiB of a Worker after gzip, and this is one call of it.
 * No deduplication id: QStash swallows whatever has the same one for ten minutes, long after the first was delivered.
 */
export function createQueue({ url, token, publicUrl }: QueueOptions): Queue {
  return {
    async publishDrain({ tenantId, spaceId, delaySeconds }) {
      // The path holds the destination unencoded.
      const answer = await send(`${url.replace(/\/+$/, '')}/v2/publish/${publicUrl}${DRAIN_PATH}`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${token}`,
          'Content-Type': 'application/json',
          'Upstash-Method': 'POST',
          ...(delaySeconds > 0 && { 'Upstash-Delay': `${delaySeconds}s` }),
        },
        body: JSON.stringify({ tenantId, spaceId }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (typeof answer.messageId !== 'string') throw unavailable('QStash did not return a message ID.');
    },
  };
}

async function send(url: string, init: RequestInit): Promise<{ messageId?: unknown }> {
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(url, init);
    answer = await response.json();
  } catch (cause) {
    throw unavailable('QStash does not answer.', cause);
  }
  // Its words are left out: they may repeat what was sent.
  if (!response.ok) throw unavailable(`QStash did not accept the message (status ${response.status}).`);
  return typeof answer === 'object' && answer !== null ? answer : {};
}

function unavailable(message: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', message, { cause, retryAfterSeconds: 5 });
}
