import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A delivery, as published or as a schedule keeps it. */
export interface MessageSpec {
  url: string;
  method: string;
  /** As the destination gets them. */
  headers: Record<string, string>;
  body: string;
  delayMs: number;
  retriesMax: number;
}

export interface Message extends MessageSpec {
  messageId: string;
  scheduleId: string | null;
  /** When the next attempt is due. */
  dueMs: number;
  retried: number;
}

export interface Schedule {
  scheduleId: string;
  cron: string;
  spec: MessageSpec;
  createdAtMs: number;
  isPaused: boolean;
  nextMs: number;
}

export interface DeadLetter {
  dlqId: string;
  message: Message;
  /** 0: there was no answer. */
  responseStatus: number;
  responseBody: string;
}

export interface QStashState {
  messages: Record<string, Message>;
  schedules: Record<string, Schedule>;
  deadLetters: Record<string, DeadLetter>;
}

/** The queue's state, in memory, and in a file that a restart begins from. */
export class QStashStore {
  readonly state: QStashState;
  readonly #file: string | null;
  #current: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  private constructor(file: string | null, state: QStashState) {
    this.#file = file;
    this.state = state;
  }

  /** Without a file nothing is kept. Throws if there is one that cannot be read. */
  static async open(file: string | null): Promise<QStashStore> {
    const empty: QStashState = { messages: {}, schedules: {}, deadLetters: {} };
    if (file === null) return new QStashStore(null, empty);
    await mkdir(dirname(file), { recursive: true });
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return new QStashStore(file, empty);
    try {
      return new QStashStore(file, { ...empty, ...(JSON.parse(text) as Partial<QStashState>) });
    } catch (cause) {
      throw new Error(`${file} is not a queue's state; delete it to start with an empty queue`, { cause });
    }
  }

  /** Resolves when the state as it is now is in the file. Calls made while one writes share the next. */
  save(): Promise<void> {
    const file = this.#file;
    if (file === null) return Promise.resolve();
    this.#next ??= this.#current
      .catch(() => undefined)
      .then(() => {
        this.#next = null;
        this.#current = writeWhole(file, JSON.stringify(this.state));
        return this.#current;
      });
    return this.#next;
  }
}

// A rename is whole or not at all, also when the process is killed.
async function writeWhole(file: string, text: string): Promise<void> {
  const draft = `${file}.draft`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, file);
}
