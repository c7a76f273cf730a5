import { setTimeout as delay } from 'node:timers/promises';

export type FaultKind = 'latency' | 'refuse' | 'drop-reply';

/** The request as a fault's `match` sees it. `text` is `METHOD path body`, with the body as sent. */
export interface FaultTarget {
  method: string;
  path: string;
  text: string;
}

export interface FaultOptions {
  /**
   * - `latency`: the operation is run after `latencyMs`, even if the client has given up by then.
   * - `refuse`: not run; the connection is cut, or, with `status`, answered with that status.
   * - `drop-reply`: run to its end, then the connection is cut without an answer.
   */
  kind: FaultKind;
  /** Only for `latency`. */
  latencyMs?: number;
  /** Only for `refuse`: answer with this HTTP status instead of cutting the connection. */
  status?: number;
  /** How many requests it meets before it goes; without it, until cleared. */
  times?: number;
  /** A substring of {@link FaultTarget.text}, or a test of it; without it, every request. */
  match?: string | ((target: FaultTarget) => boolean);
}

export interface InjectedFault {
  /** Requests it has met. */
  readonly hits: number;
  remove(): void;
}

/** The faults of a request, chosen before it runs. */
export interface FaultPlan {
  latencyMs: number;
  refuse: { status: number | null } | null;
  dropReply: boolean;
}

interface ActiveFault extends FaultOptions {
  hits: number;
}

const NO_FAULT: FaultPlan = { latencyMs: 0, refuse: null, dropReply: false };
const LATENCY_MS_MAX = 600_000;

/** The faults a emulator puts in the way of its requests. None until one is injected. */
export class Faults {
  #active: ActiveFault[] = [];

  /** Adds a fault; several may be active, and a request meets every one that matches it. */
  inject(options: FaultOptions): InjectedFault {
    const fault: ActiveFault = { ...options, hits: 0 };
    this.#active.push(fault);
    return {
      get hits() {
        return fault.hits;
      },
      remove: () => {
        this.#active = this.#active.filter((other) => other !== fault);
      },
    };
  }

  clear(): void {
    this.#active = [];
  }

  /** Counts the request against every fault it matches. `readBody` is called only if a fault is active. */
  plan(method: string, path: string, readBody: () => string): FaultPlan {
    if (this.#active.length === 0) return NO_FAULT;
    const target: FaultTarget = { method, path, text: `${method} ${path} ${readBody()}` };
    const plan: FaultPlan = { ...NO_FAULT };
    for (const fault of this.#active) {
      if (!matches(fault, target)) continue;
      fault.hits += 1;
      if (fault.kind === 'latency') plan.latencyMs += fault.latencyMs ?? 0;
      else if (fault.kind === 'refuse') plan.refuse = { status: fault.status ?? null };
      else plan.dropReply = true;
    }
    this.#active = this.#active.filter((fault) => fault.hits < (fault.times ?? Number.POSITIVE_INFINITY));
    return plan;
  }
}

/** Waits a plan's latency; returns early, without error, when `signal` aborts. */
export async function waitLatency(plan: FaultPlan, signal: AbortSignal): Promise<void> {
  if (plan.latencyMs > 0) await delay(plan.latencyMs, undefined, { signal }).catch(() => undefined);
}

/** Reads a fault out of `POST /__faults`. Throws a TypeError that says what is wrong. */
export function parseFault(value: unknown): FaultOptions {
  if (typeof value !== 'object' || value === null) throw new TypeError('a fault is a JSON object');
  const { kind, latencyMs, status, times, match } = value as Record<string, unknown>;
  if (kind !== 'latency' && kind !== 'refuse' && kind !== 'drop-reply')
    throw new TypeError('kind must be latency, refuse or drop-reply');
  if (match !== undefined && typeof match !== 'string')
    throw new TypeError('match must be a substring of "METHOD path body"');
  const fault: FaultOptions = { kind };
  if (match !== undefined) fault.match = match;
  if (latencyMs !== undefined) fault.latencyMs = parseWhole('latencyMs', latencyMs, 0, LATENCY_MS_MAX);
  if (status !== undefined) fault.status = parseWhole('status', status, 400, 599);
  if (times !== undefined) fault.times = parseWhole('times', times, 1, Number.MAX_SAFE_INTEGER);
  if (kind === 'latency' && fault.latencyMs === undefined) throw new TypeError('latency needs latencyMs');
  return fault;
}

function parseWhole(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw new TypeError(`${name} must be a whole number from ${min} to ${max}`);
  return value;
}

function matches(fault: FaultOptions, target: FaultTarget): boolean {
  if (fault.match === undefined) return true;
  return typeof fault.match === 'string' ? target.text.includes(fault.match) : fault.match(target);
}
