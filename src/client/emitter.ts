type Listener = (...args: unknown[]) => void;

/** Events in their order. Events that listeners cause come behind all events of the step that the listeners were told of. */
export class EventQueue {
  readonly #waiting: (() => void)[] = [];
  #isHeld = false;

  /** Runs one step. Its events are emitted when it ends. */
  hold(step: () => void): void {
    const isInner = this.#isHeld;
    this.#isHeld = true;
    step();
    if (isInner) return;
    for (const emit of this.#waiting) emit();
    this.#waiting.length = 0;
    this.#isHeld = false;
  }

  push(emit: () => void): void {
    this.hold(() => this.#waiting.push(emit));
  }
}

/** Listeners by event. `Events` maps each event to the arguments of its listeners. */
export class Emitter<Events extends Record<string, unknown[]>> {
  readonly #listeners = new Map<keyof Events, Set<Listener>>();
  readonly #queue: EventQueue;

  constructor(queue = new EventQueue()) {
    this.#queue = queue;
  }

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
    this.#queue.push(() => {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) callSafely(() => listener(...args));
    });
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
