import { notFound } from '../world/errors.ts';
import { CHAT_RULES } from '../world/schemas.ts';
import { ProcessBuckets } from '../world/token-bucket.ts';
import type { DrainStore, LogAddress, PostedMessages } from './log-stores.ts';
import { chatRefused, overBudget } from './refusals.ts';

/** People whose messages a process counts at the same time. */
const PEOPLE_MAX = 10_000;

/** Decides whether messages may be posted where no Redis can. Each process counts the messages of a person alone. */
export class PostedBudget {
  readonly #postgres: Pick<DrainStore, 'loadCursor'>;
  readonly #now: () => number;
  readonly #spoken = new ProcessBuckets(PEOPLE_MAX);

  /** @param now milliseconds since 1970 */
  constructor(postgres: Pick<DrainStore, 'loadCursor'>, now: () => number) {
    this.#postgres = postgres;
    this.#now = now;
  }

  /** @throws not_found for the space; forbidden by `settings.chat`; rate_limited */
  async check(address: LogAddress, { people, role, perMinute }: PostedMessages): Promise<void> {
    const opened = await this.#postgres.loadCursor(address);
    if (opened === null) throw notFound('this space');
    const { chat = 'viewer' } = opened;
    if (chat === 'off' || (role !== null && CHAT_RULES.indexOf(role) < CHAT_RULES.indexOf(chat)))
      throw chatRefused(chat);
    const limit = { requests: perMinute, windowSeconds: 60 };
    for (const [userId, count] of people)
      for (let i = 0; perMinute > 0 && i < count; i++) {
        const nowMs = this.#now();
        const name = `${address.tenantId}!${address.spaceId}!${userId}`;
        const { allowed, resetAtMs } = this.#spoken.take(name, limit, nowMs);
        const refused = { kind: 'messages', retryAfterMs: resetAtMs - nowMs } as const;
        const limits = { requestsPerMinute: 0, updatesPerMinute: 0, messagesPerMinute: perMinute };
        if (!allowed) throw overBudget(refused, limits);
      }
  }
}
