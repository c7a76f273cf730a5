import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type FoundProgram, findProgram, PROMTOOL } from '../dev/fetch-program.ts';
import { CACHE_DIR } from '../dev/stack.ts';
import { FAMILIES, type Family } from '../src/metrics/families.ts';
import { openSpace } from './http/client.ts';
import { startNode } from './http/node-target.ts';
import { OVER_TCP } from './http/runtimes.ts';

const FOLDER = resolve(import.meta.dirname, '../docs/monitoring');
const TOKEN = 'a-token-for-metrics-only';
const readFile = (name: string) => readFileSync(join(FOLDER, name), 'utf8');

describe('the files for monitoring', () => {
  let promtool: FoundProgram;
  beforeAll(async () => {
    promtool = await findProgram(PROMTOOL, CACHE_DIR, () => undefined);
  }, 180_000);

  /** Runs promtool. @throws with all it says, unless it exits with 0 */
  async function check(args: string[], { cwd = FOLDER, input = '' } = {}): Promise<string> {
    const child = spawn(promtool.path, args, { cwd, env: promtool.env });
    child.stdin.end(input);
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ]);
    if (code !== 0) throw new Error(`promtool ${args.join(' ')}: ${code}\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  it('have alerts that Prometheus accepts, and each fires and stays quiet as its test says', async () => {
    const alerts = [...readFile('worldkeep-alerts.yml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    expect(await check(['check', 'rules', 'worldkeep-alerts.yml'])).toContain(`${alerts.length} rules found`);
    await check(['test', 'rules', 'worldkeep-alerts.test.yml']);
    const tested = [...readFile('worldkeep-alerts.test.yml').matchAll(/- name: (\w+ .*)/g)];
    expect(tested.map(([, name]) => name).sort()).toEqual(
      alerts.flatMap((name) => [`${name} fires`, `${name} is quiet`]).sort(),
    );
  });

  it('have a configuration that Prometheus accepts', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'worldkeep-prometheus-'));
    onTestFinished(() => rmSync(cwd, { recursive: true }));
    for (const name of ['prometheus.yml', 'worldkeep-alerts.yml'])
      copyFileSync(join(FOLDER, name), join(cwd, name));
    writeFileSync(join(cwd, 'metrics-token'), TOKEN);
    expect(await check(['check', 'config', 'prometheus.yml'], { cwd })).toContain('SUCCESS');
  });

  it('[G1] the text of a server under load is valid, and has every family that can be there', async () => {
    const target = await startNode(OVER_TCP.makeEnv({ METRICS_TOKEN: TOKEN }));
    onTestFinished(() => target.stop());
    const door = await openSpace(target);
    const scrape = async () => {
      const answer = await target.fetch('/metrics', { headers: { Authorization: `Bearer ${TOKEN}` } });
      expect(answer.status).toBe(200);
      return answer.text();
    };
    const write = async (i: number) => {
      const ops = Array.from({ length: 20 }, (_, n) => ({ op: 'put', id: `o${i}-${n}` }));
      await door.call('POST', `${door.at}/updates`, { json: { ops } });
      await door.call('GET', `${door.at}/state`);
    };
    let isDone = false;
    const load = (async () => {
      for (let i = 0; !isDone; i++) await write(i);
    })();
    const counted = /worldkeep_operations_appended_total\{durability="queued"\} [1-9]/;
    await expect.poll(scrape).toMatch(counted);
    const found = await scrape();
    isDone = true;
    await load;
    expect(await check(['check', 'metrics'], { input: found })).toBe('');
    const families = Object.entries<Family>(FAMILIES).map(([name]) => name);
    // A job has run, or it has not.
    const maybe = ['worldkeep_job_last_success_timestamp_seconds', 'worldkeep_job_last_failed'];
    const shown = [...found.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
    expect(shown).toEqual(families.filter((name) => shown.includes(name) || !maybe.includes(name)));
  });
});
