import type { Mirror } from './mirror.ts';
import type { LiveMessage } from './types.ts';

export type ChatEvents = {
  enter: [message: LiveMessage];
  leave: [message: LiveMessage];
  /** Once for each change of the list. */
  change: [];
};

/** The newest 50 messages of a space, and the pending ones of this client. */
export class Chat {
  readonly #mirror: Mirror;

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
  }

  /** Oldest first. The same list until a message changes. */
  get messages(): readonly LiveMessage[] {
    return this.#mirror.messages;
  }

  /** @returns a function that removes the listener */
  on<Name extends keyof ChatEvents>(event: Name, listener: (...args: ChatEvents[Name]) => void): () => void {
    return this.#mirror.chatEvents.on(event, listener);
  }
}
