import {
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
} from 'cockatiel';

export interface BreakerOptions {
  /** Failures in a row after which calls are refused. */
  failuresMax: number;
  /** Milliseconds between two probes. */
  probeMs: number;
  /** Whether a failure means that the other side is away. */
  isOutage: (error: unknown) => boolean;
}

/** The error of a call that was refused because the other side is away. */
export class Refused extends Error {
  constructor() {
    super('It is away, and was not called.');
    this.name = 'Refused';
  }
}

/**
 * Refuses calls to another side that is away, so that nobody waits for it. From time to time one call probes it first. All other calls
 * are refused meanwhile: in a Worker, no request may wait for a promise of another.
 */
export class Breaker {
  readonly #policy;
  #awaySinceMs: number | null = null;
  readonly #now: () => number;

  constructor({ failuresMax, probeMs, isOutage }: BreakerOptions, now: () => number = Date.now) {
    this.#now = now;
    this.#policy = circuitBreaker(handleWhen(isOutage), {
      halfOpenAfter: probeMs,
      breaker: new ConsecutiveBreaker(failuresMax),
    });
    this.#policy.onBreak(() => {
      this.#awaySinceMs ??= this.#now();
    });
    this.#policy.onReset(() => {
      this.#awaySinceMs = null;
    });
  }

  /** Milliseconds since 1970 at which calls began to be refused; null: they are not. */
  get awaySinceMs(): number | null {
    return this.#awaySinceMs;
  }

  /** @param probe a call without effect. @throws Refused if the other side is away; else what `call` or `probe` throws */
  async run<Result>(call: () => Promise<Result>, probe: () => Promise<unknown>): Promise<Result> {
    if (this.#policy.state === CircuitState.HalfOpen) throw new Refused();
    try {
      return await this.#policy.execute(async () => {
        if (this.#policy.state === CircuitState.HalfOpen) {
          await probe();
        }
        return call();
      });
    } catch (error) {
      throw isBrokenCircuitError(error) ? new Refused() : error;
    }
  }
}
