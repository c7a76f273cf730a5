import type { Operation } from '../world/operation.ts';
import { isConditional } from '../world/operation-effects.ts';
import type { Seq } from '../world/types.ts';
import type { LocalOperation } from './mirror.ts';
import type { OutboxRecord, OutboxRequest } from './outbox-store.ts';
import { Sent } from './sent.ts';

/** Characters of one request. The server accepts 1 MiB. */
const REQUEST_CHARACTERS_MAX = 256 * 1024;

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
  /** The seq that it had before a loaded world did not show it. */
  askedSeq?: Seq;
  /** The other accepted parcels at that time. */
  later?: Accepted[];
  /** Another tab has left it. */
  isAdopted?: boolean;
}

/** A parcel that the server has, in its place in the order. */
export interface Accepted {
  seq: Seq;
  parcel: Parcel;
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

export function handlesOf({ items }: Parcel): Sent[] {
  return items.flatMap(({ handles }) => handles);
}

/** Whether the request must wait for its commit, because the caller gets the outcome of the operation. */
export function waitsForOutcome(op: Operation): boolean {
  return 'ifSeq' in op && isConditional(op);
}

/**
 * The oldest parcels that fit into one request.
 * @param operationsMax of the request
 */
export function takeBatch(parcels: readonly Parcel[], operationsMax: number): Parcel[] {
  const taken: Parcel[] = [];
  let characters = 0;
  const opOf = ({ items }: Parcel) => (items[0] as Item).op;
  const kindOf = (op: Operation) => (op.op === 'chat.post' ? 'message' : waitsForOutcome(op));
  for (const parcel of parcels) {
    const op = opOf(parcel);
    characters += JSON.stringify(op).length;
    const isFull = taken.length >= operationsMax || characters > REQUEST_CHARACTERS_MAX;
    // A refused message refuses its whole request. Only conditional operations wait for their outcomes.
    const fits = parcel.request === undefined && !isFull && kindOf(op) === kindOf(opOf(parcels[0] as Parcel));
    if (taken.length > 0 && (!fits || op.op === 'chat.post')) break;
    taken.push(parcel);
  }
  return taken;
}
