import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createProgress } from './progress.ts';

class Screen extends Writable {
  readonly isTTY: boolean;
  readonly columns = 120;
  #text = '';

  constructor(isTTY: boolean) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.#text += chunk;
    done();
  }

  get text(): string {
    return this.#text;
  }
}

const MIB = 1024 * 1024;

/** The output while a task of `total` bytes runs in 64 steps. */
function watch(screen: Screen, total: number): string {
  const task = createProgress(screen, {}).startBytes('sent', total);
  for (let step = 1; step <= 64; step++) task.update((total * step) / 64);
  task.finish();
  return screen.text;
}

describe('progress', () => {
  it('is a few plain lines with counts where there is no terminal', () => {
    expect(watch(new Screen(false), 8 * MIB)).toBe(
      [
        'sent: 2,097,152 of 8,388,608 bytes',
        'sent: 4,194,304 of 8,388,608 bytes',
        'sent: 6,291,456 of 8,388,608 bytes',
        'sent: 8,388,608 bytes',
        '',
      ].join('\n'),
    );
  });

  it('is one line for a task of one step', () => {
    expect(watch(new Screen(false), 1000)).toBe('sent: 1,000 bytes\n');
    expect(watch(new Screen(true), 1000)).toBe('sent: 1,000 bytes\n');
  });

  it('counts other things too, in lines even if there are few', () => {
    const screen = new Screen(false);
    const task = createProgress(screen, {}).startCount('created', 4, 'users');
    for (let done = 1; done <= 4; done++) task.update(done);
    task.finish();
    expect(screen.text.split('\n')).toEqual([
      'created: 1 of 4 users',
      'created: 2 of 4 users',
      'created: 3 of 4 users',
      'created: 4 users',
      '',
    ]);
  });

  it('is a bar on a terminal, gone when the line behind it is written, the cursor back', () => {
    const text = watch(new Screen(true), 8 * MIB);
    expect(text).toContain('sent ');
    expect(text).toContain('0 of 8,388,608 bytes');
    expect(text.endsWith('sent: 8,388,608 bytes\n')).toBe(true);
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(text.lastIndexOf('\u001b[?25l'));
  });

  it('is plain lines on a terminal that can no more', () => {
    const screen = new Screen(true);
    const progress = createProgress(screen, { TERM: 'dumb' });
    progress.startBytes('sent', 8 * MIB).finish();
    expect(screen.text).toBe('sent: 8,388,608 bytes\n');
  });
});
