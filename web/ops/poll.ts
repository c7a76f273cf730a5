export interface PollOptions<Answer> {
  read(): Promise<Answer>;
  onAnswer(answer: Answer): void;
  /** @param retryMs until the next try */
  onFailure(error: unknown, retryMs: number): void;
  everyMs: number;
  /** The longest time between two tries while the server refuses or is away. */
  backOffMsMax: number;
  isVisible(): boolean;
  /** Calls the listener when the page is shown or hidden. */
  onVisibility(listener: () => void): void;
  /** @returns cancels the timer */
  startTimer(task: () => void, ms: number): () => void;
  signal: AbortSignal;
}

/** Reads again and again while the page is visible. After each failure in a row the time until the next try doubles. */
export function poll<Answer>(options: PollOptions<Answer>): void {
  const { everyMs, backOffMsMax, signal } = options;
  let cancel: (() => void) | null = null;
  let isReading = false;
  let failures = 0;
  const stop = () => {
    cancel?.();
    cancel = null;
  };
  const run = async () => {
    stop();
    if (isReading || signal.aborted || !options.isVisible()) return;
    isReading = true;
    let waitMs = everyMs;
    try {
      const answer = await options.read();
      if (signal.aborted) return;
      failures = 0;
      options.onAnswer(answer);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      waitMs = Math.min(everyMs * 2 ** failures, backOffMsMax);
      options.onFailure(error, waitMs);
    } finally {
      isReading = false;
    }
    if (!signal.aborted && options.isVisible()) cancel = options.startTimer(run, waitMs);
  };
  options.onVisibility(() => void (options.isVisible() ? run() : stop()));
  signal.addEventListener('abort', stop);
  void run();
}
