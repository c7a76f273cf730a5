/** The pauses of a process's drains. All can be ended together. */
export class Rests {
  readonly #pause: (ms: number) => Promise<void>;
  /** Each ends a rest before its time. */
  readonly #wakes = new Set<() => void>();
  #isEnding = false;

  constructor(pause: (ms: number) => Promise<void>) {
    this.#pause = pause;
  }

  /** Resolves after so many milliseconds, or at the end. */
  async take(ms: number): Promise<void> {
    if (this.#isEnding) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakes.add(resolve);
    await Promise.race([this.#pause(ms), promise]);
    this.#wakes.delete(resolve);
  }

  /** From now on nobody rests. */
  end(): void {
    this.#isEnding = true;
    for (const wake of this.#wakes) wake();
  }
}
