type Listener = (...args: unknown[]) => void;

/** Listeners by event. `Events` maps each event to the arguments of its listeners. */
export class Emitter<Events extends Record<string, unknown[]>> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>();
  /** Events of one step, and of listeners that change the world: each listener gets all events in the same order. */
  readonly #waiting: [name: keyof Events, args: unknown[]][] = [];
  #isHeld = false;

  /** @returns a function that removes the listener */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener as Listener));
    return () => {
      listeners.delete(listener as Listener);
      if (listeners.size === 0 && this.#listeners.get(event) === listeners) this.#listeners.delete(event);
    };
  }

  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    this.hold(() => this.#waiting.push([event, args]));
  }

  /** Runs one step. Its events come when it ends. Then come events that its listeners cause. */
  hold(step: () => void): void {
    const isInner = this.#isHeld;
    this.#isHeld = true;
    step();
    if (isInner) return;
    for (const [name, args] of this.#waiting)
      for (const listener of [...(this.#listeners.get(name) ?? [])]) callSafely(() => listener(...args));
    this.#waiting.length = 0;
    this.#isHeld = false;
  }
}

/** A listener that throws does not keep the others from their event: its error is reported as uncaught. */
function callSafely(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
