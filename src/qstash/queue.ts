import { AppError } from '../world/errors.ts';

/** The part of a queue's configuration that a message needs. */
export interface QueueOptions {
  /** The URL of QStash, normally `https://qstash.upstash.io`. */
  url: string;
  token: string;
  /** The URL at which QStash reaches this deployment. */
  publicUrl: string;
}

/** The space to drain, and the delay. */
export interface DrainMessage {
  tenantId: string;
  spaceId: string;
  delaySeconds: number;
}

export interface Queue {
  /**
   * Asks QStash to call `/jobs/drain` for a space. QStash retries a failed call three times within half an hour.
   * @throws store_unavailable if QStash did not confirm the message.
   */
  publishDrain(message: DrainMessage): Promise<void>;
}

export const DRAIN_PATH = '/jobs/drain';

const TIMEOUT_MS = 5_000;

/**
 * Calls QStash's REST interface: QStash's client would add 18 KiB (gzip) to the Worker for this one call.
 * No deduplication id: QStash would drop equal messages for ten minutes, long after it delivered the first one.
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
  // QStash's own message is left out: it may repeat the request.
  if (!response.ok) throw unavailable(`QStash did not accept the message (status ${response.status}).`);
  return typeof answer === 'object' && answer !== null ? answer : {};
}

function unavailable(message: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', message, { cause, retryAfterSeconds: 5 });
}
