import { expect, it } from 'vitest';
import { LOG_LEVELS } from '../../src/config.ts';
import { createLog } from './log.ts';

it('writes one line of JSON with the time, from the configured level on', () => {
  const written: Record<string, string[]> = {};
  for (const level of LOG_LEVELS) {
    const lines: string[] = [];
    const log = createLog({ level, now: () => 1_800_000_000_000, write: (line) => void lines.push(line) });
    for (const each of ['debug', 'info', 'warn', 'error'] as const)
      log(each, 'tested', { n: 1, text: 'a\nb' });
    written[level] = lines.map((line) => JSON.parse(line).level);
    for (const line of lines) expect(line).not.toContain('\n');
    if (level === 'error')
      expect(lines).toEqual([
        '{"time":"2027-01-15T08:00:00.000Z","level":"error","event":"tested","n":1,"text":"a\\nb"}',
      ]);
  }
  expect(written).toEqual({
    debug: ['debug', 'info', 'warn', 'error'],
    info: ['info', 'warn', 'error'],
    warn: ['warn', 'error'],
    error: ['error'],
    silent: [],
  });
});
