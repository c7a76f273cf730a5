import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readProcessStart } from './process.ts';
import { sweepTemporaryDirs } from './stack.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

describe('folders of ephemeral stacks', () => {
  // Only root can give a folder to somebody else.
  it.skipIf(!isRoot)(
    `of another user end no process and stay${isRoot ? '' : ' (skipped: not root)'}`,
    async () => {
      const before = process.env.TMPDIR;
      const folder = mkdtempSync(join(tmpdir(), 'sweep-'));
      const victim = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
      try {
        const pid = victim.pid ?? 0;
        const record = {
          owner: { name: 'owner', pid: 2 ** 22 + 1, start: '1' },
          processes: [{ name: 'victim', pid, start: readProcessStart(pid) }],
        };
        for (const [name, uid] of [
          ['worldkeep-theirs', NOBODY],
          ['worldkeep-ours', process.getuid?.() ?? 0],
        ] as const) {
          mkdirSync(join(folder, name));
          // Ours names nothing to end: it shows that the sweep went by here at all.
          const processes = uid === NOBODY ? record.processes : [];
          writeFileSync(join(folder, name, 'run.json'), JSON.stringify({ ...record, processes }));
          for (const path of [join(folder, name, 'run.json'), join(folder, name)]) chownSync(path, uid, uid);
        }
        process.env.TMPDIR = folder;
        await sweepTemporaryDirs();
        expect(readProcessStart(pid)).not.toBeNull();
        expect(existsSync(join(folder, 'worldkeep-theirs/run.json'))).toBe(true);
        expect(existsSync(join(folder, 'worldkeep-ours'))).toBe(false);
      } finally {
        if (before === undefined) delete process.env.TMPDIR;
        else process.env.TMPDIR = before;
        victim.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
