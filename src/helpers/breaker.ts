import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
} from 'cockatiel';
import { withTimeout } from './time.ts';

export interface BreakerOptions {
  /** Failures in a row after which calls are refused. */
  failuresMax: number;
  /** Milliseconds between two probes. */
  probeMs: number;
  /** Milliseconds after which a call without an answer counts as failed. The call itself continues. */
  slowMs: number;
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

/** The other side has not answered a call in time. */
class Slow extends Error {}

/**
 * Refuses calls to another side that is away, so that nobody waits for it. A slow side counts as away too. From time to time one call
 * probes it first. All other calls are refused meanwhile: in a Worker, no request may wait for a promise of another.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #policy: CircuitBreakerPolicy;
  #awaySinceMs: number | null = null;
  /** When the last probe began. */
  #probedMs = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#policy = this.#makePolicy();
  }

  #makePolicy(): CircuitBreakerPolicy {
    const { failuresMax, probeMs, isOutage } = this.#options;
    const isFailure = (error: unknown) => error instanceof Slow || isOutage(error);
    const policy = circuitBreaker(handleWhen(isFailure), {
      halfOpenAfter: probeMs,
      breaker: new ConsecutiveBreaker(failuresMax),
    });
    policy.onBreak(() => {
      // A call of before may fail after somebody else was answered.
      if (policy === this.#policy) this.#awaySinceMs ??= Date.now();
    });
    policy.onHalfOpen(() => {
      this.#probedMs = Date.now();
    });
    return policy;
  }

  /** Milliseconds since 1970 at which calls began to be refused; null: they are not. */
  get awaySinceMs(): number | null {
    return this.#awaySinceMs;
  }

  /** Asks the other side directly. If it answers in time, calls go through again. @throws what `question` throws */
  async ask<Result>(question: () => Promise<Result>): Promise<Result> {
    const beganMs = Date.now();
    const answer = await question();
    if (Date.now() - beganMs < this.#options.slowMs) this.#noteAnswer();
    return answer;
  }

  #noteAnswer(): void {
    this.#awaySinceMs = null;
    this.#policy = this.#makePolicy();
  }

  /** @param probe a call without effect. @throws Refused if the other side is away; else what `call` or `probe` throws */
  async run<Result>(call: () => Promise<Result>, probe: () => Promise<unknown>): Promise<Result> {
    const policy = this.#policy;
    let running: Promise<Result> | null = null;
    const probeFirst = async () => {
      await this.#inTime(probe());
      this.#noteAnswer();
      return call();
    };
    try {
      if (policy.state === CircuitState.HalfOpen) {
        const { probeMs, slowMs } = this.#options;
        if (Date.now() - this.#probedMs < probeMs + slowMs) throw new Refused();
        // A Worker may end the request that probes, and its probe with it. Then another call probes.
        this.#probedMs = Date.now();
        return await probeFirst();
      }
      return await policy.execute(() => {
        if (policy.state === CircuitState.HalfOpen) return probeFirst();
        running = call();
        return this.#inTime(running);
      });
    } catch (error) {
      if (isBrokenCircuitError(error)) throw new Refused();
      if (!(error instanceof Slow)) throw error;
      // The call counts as failed, and may still be answered.
      if (running !== null) return running;
      throw new Refused();
    }
  }

  #inTime<Result>(work: Promise<Result>): Promise<Result> {
    return withTimeout(this.#options.slowMs, work, () => new Slow());
  }
}
