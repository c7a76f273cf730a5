import type { LocalOperation } from './mirror.ts';
import type { OutboxRecord, OutboxRequest } from './outbox-store.ts';
import { Sent } from './sent.ts';

/** An operation in the queue, and the handles of all operations that were merged into it. */
export interface Item extends LocalOperation {
  handles: Sent[];
}

/** Items that one request sends, or one item that no request has sent yet. */
export interface Parcel {
  n: number;
  items: Item[];
  request?: OutboxRequest;
  /** Its request was sent before, and the outcome is not known. */
  isUncertain?: boolean;
}

export function toRecord({ n, items, request }: Parcel): OutboxRecord {
  return { n, ops: items.map(({ op }) => op), ...(request && { request }) };
}

/**
 * A parcel that an earlier client left. Its request may have reached the server.
 * @param end the next record's place
 */
export function toParcel({ n, ops, request }: OutboxRecord, end: number): Parcel {
  const step = Math.min(1, (end - n) / ops.length);
  const items = ops.map((op, i): Item => ({ n: n + i * step, op, seq: null, handles: [new Sent(op)] }));
  return { n, items, ...(request && { request, isUncertain: true }) };
}
