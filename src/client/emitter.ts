/** Listeners by event. `Events` maps each event to the arguments of its listeners. */
export class Emitter<Events extends Record<string, unknown[]>> {
  readonly #listeners: { [Name in keyof Events]?: Set<(...args: Events[Name]) => void> } = {};

  /** @returns a function that removes the listener */
  on<Name extends keyof Events>(event: Name, listener: (...args: Events[Name]) => void): () => void {
    const listeners = this.#listeners[event] ?? new Set();
    this.#listeners[event] = listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** A listener that throws does not keep the others from their event: its error is reported as uncaught. */
  emit<Name extends keyof Events>(event: Name, ...args: Events[Name]): void {
    for (const listener of [...(this.#listeners[event] ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
