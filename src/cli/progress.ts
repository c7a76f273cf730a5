import { Presets, SingleBar } from 'cli-progress';
import { showCount } from '../helpers/counts.ts';

/** Bytes below which a task says only that it is done: it is over before anybody has read that it began. */
const QUIET_BELOW_BYTES = 256 * 1024;
/** Of a long task without a terminal, a line each time this much more of it is done. */
const PLAIN_STEP = 0.25;

export interface Task {
  /** @param done how much of the total is done by now. */
  update(done: number): void;
  /** @param total where it was not known before. */
  finish(total?: number): void;
}

/** Where a task writes: stderr, which has `isTTY` where somebody is looking. */
export interface ProgressStream extends NodeJS.WritableStream {
  isTTY?: boolean;
}

export interface Progress {
  /**
   * Bars on a terminal, plain lines with counts anywhere else.
   * @param total bytes; null where they are not known, as of an answer that is compressed.
   */
  startBytes(label: string, total: number | null): Task;
  /** The same for a task that takes long, whatever its total is. @param unit the counted things: `users` */
  startCount(label: string, total: number, unit: string): Task;
  /** One line on its own. */
  note(line: string): void;
  /** Removes a bar from the screen, so that a message is not written into it. */
  stop(): void;
}

export function createProgress(stream: ProgressStream, env: NodeJS.ProcessEnv): Progress {
  const bars = stream.isTTY === true && env.TERM !== 'dumb';
  let running: SingleBar | null = null;
  const stop = () => {
    running?.stop();
    running = null;
  };
  const note = (line: string) => {
    stop();
    stream.write(`${line}\n`);
  };
  const start = (label: string, total: number | null, unit: string, isShort: boolean): Task => {
    if (bars && total !== null && !isShort) {
      const bar = new SingleBar(
        {
          stream,
          format: `${label} {bar} {percentage}% | {done} of {all} ${unit}`,
          hideCursor: true,
          clearOnComplete: true,
          stopOnComplete: false,
        },
        env.NO_COLOR ? Presets.legacy : Presets.shades_classic,
      );
      bar.start(total, 0, { done: '0', all: showCount(total) });
      running = bar;
    }
    let shown = 0;
    return {
      update(done) {
        running?.update(done, { done: showCount(done) });
        if (bars || total === null || isShort) return;
        if (done < total && done >= (shown + PLAIN_STEP) * total) {
          shown = Math.floor(done / total / PLAIN_STEP) * PLAIN_STEP;
          note(`${label}: ${showCount(done)} of ${showCount(total)} ${unit}`);
        }
      },
      finish(count = total ?? 0) {
        note(`${label}: ${showCount(count)} ${unit}`);
      },
    };
  };

  return {
    note,
    stop,
    startBytes: (label, total) => start(label, total, 'bytes', total === null || total < QUIET_BELOW_BYTES),
    startCount: (label, total, unit) => start(label, total, unit, false),
  };
}
