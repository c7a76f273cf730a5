import {
  type CircuitBreakerPolicy,
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
  /** Milliseconds after which a probe counts as lost. In a Worker, a request whose caller has gone ends without any result. */
  probeMsMax: number;
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
  readonly #options: BreakerOptions;
  #policy: CircuitBreakerPolicy;
  #awaySinceMs: number | null = null;
  #probedMs = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#policy = this.#makePolicy();
  }

  #makePolicy(before?: CircuitBreakerPolicy): CircuitBreakerPolicy {
    const { failuresMax, probeMs, isOutage } = this.#options;
    const policy = circuitBreaker(handleWhen(isOutage), {
      halfOpenAfter: probeMs,
      breaker: new ConsecutiveBreaker(failuresMax),
      ...(before && { initialState: before.toJSON() }),
    });
    policy.onBreak(() => {
      // A call of before may fail after somebody else was answered.
      if (policy === this.#policy) this.#awaySinceMs ??= Date.now();
    });
    policy.onHalfOpen(() => {
      this.#probedMs = Date.now();
    });
    policy.onReset(() => {
      if (policy === this.#policy) this.#awaySinceMs = null;
    });
    return policy;
  }

  /** Milliseconds since 1970 at which calls began to be refused; null: they are not. */
  get awaySinceMs(): number | null {
    return this.#awaySinceMs;
  }

  /** The other side has answered a direct question: calls go through again. */
  noteAnswer(): void {
    this.#awaySinceMs = null;
    this.#policy = this.#makePolicy();
  }

  /** @param probe a call without effect. @throws Refused if the other side is away; else what `call` or `probe` throws */
  async run<Result>(call: () => Promise<Result>, probe: () => Promise<unknown>): Promise<Result> {
    if (this.#policy.state === CircuitState.HalfOpen) {
      if (Date.now() - this.#probedMs < this.#options.probeMsMax) throw new Refused();
      this.#policy = this.#makePolicy(this.#policy);
    }
    const policy = this.#policy;
    try {
      const result = await policy.execute(async () => {
        if (policy.state !== CircuitState.HalfOpen) return { answer: await call() };
        await probe();
        return null;
      });
      // The probe has let all calls through again: this one too.
      return result === null ? await policy.execute(call) : result.answer;
    } catch (error) {
      throw isBrokenCircuitError(error) ? new Refused() : error;
    }
  }
}
