import { LIMITS } from './limits.ts';
import type { LogEntry } from './operation.ts';
import { seqToTime } from './seq-time.ts';
import type { ChatMessage } from './types.ts';

/** A message and its exact place in time: `createdAt` has milliseconds only. */
export interface KeptMessage extends ChatMessage {
  /** Microseconds since 1970. */
  sentMicros: number;
}

/** The newest messages of a space, oldest first. */
export interface KeptChat {
  messages: readonly KeptMessage[];
  /** The space has older messages. */
  hasOlder: boolean;
}

export const NO_MESSAGES: KeptChat = { messages: [], hasOlder: false };

/**
 * The newest messages of a space at one seq, which entries of the log move forward. It keeps twice as many messages as a
 * state shows, so that older messages replace deleted ones.
 */
export class ChatWindow {
  #messages: KeptMessage[];
  #hasOlder: boolean;

  constructor({ messages, hasOlder }: KeptChat) {
    this.#messages = [...messages];
    this.#hasOlder = hasOlder;
    this.#trim();
  }

  /** Applies the messages of an entry. */
  fold({ seq, ops }: LogEntry): void {
    for (const op of ops) {
      if (op.op === 'chat.delete') this.#messages = this.#messages.filter(({ id }) => id !== op.id);
      if (op.op !== 'chat.post' || this.#messages.some(({ id }) => id === op.id)) continue;
      const { id, userId, text, kind } = op;
      this.#messages.push({ id, userId, text, kind, seq, createdAt: seqToTime(seq), sentMicros: seq });
      // Saved worlds may bring messages from the future.
      this.#messages.sort(compareMessages);
    }
    this.#trim();
  }

  /** Whether deletions left too few messages: older ones are only in Postgres. */
  get isShort(): boolean {
    return this.#hasOlder && this.#messages.length < LIMITS.stateChatMessagesMax;
  }

  /** The messages of a state, oldest first. */
  list(): ChatMessage[] {
    return this.#messages.slice(-LIMITS.stateChatMessagesMax).map(({ sentMicros, ...message }) => message);
  }

  /** Everything that another window needs to continue from here. */
  keep(): KeptChat {
    return { messages: [...this.#messages], hasOlder: this.#hasOlder };
  }

  #trim(): void {
    if (this.#messages.length <= LIMITS.chatKeptMax) return;
    this.#messages = this.#messages.slice(-LIMITS.chatKeptMax);
    this.#hasOlder = true;
  }
}

function compareMessages(a: KeptMessage, b: KeptMessage): number {
  return a.sentMicros - b.sentMicros || (a.id < b.id ? -1 : 1);
}
