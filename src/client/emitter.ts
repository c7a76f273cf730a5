/** Listeners by event. `Events` maps each event to the arguments of its listeners. */
export class Emitter<Events extends Record<string, unknown[]>> {
  readonly #listeners: { [Name in keyof Events]?: Set<(...args: Events[Name]) => void> } = {};
  /** Events of listeners that change the world: each listener gets all events in the same order. */
  readonly #waiting: [name: keyof Events, args: Events[keyof Events]][] = [];

  /** @returns a function that removes the listener */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners[event] ?? new Set();
    this.#listeners[event] = listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    this.emitAll([[event, args]]);
  }

  /** Emits the events of one step. What a listener changes comes behind all of them. */
  emitAll(events: [name: keyof Events, args: Events[keyof Events]][]): void {
    const isEmitting = this.#waiting.length > 0;
    for (const event of events) this.#waiting.push(event);
    if (isEmitting) return;
    for (const [name, values] of this.#waiting)
      for (const listener of [...(this.#listeners[name] ?? [])]) callSafely(() => listener(...values));
    this.#waiting.length = 0;
  }
}

/** A listener that throws does not keep the others from their event: its error is reported as uncaught. */
export function callSafely(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
