/** `npm run check`: all checks of the code that do not run it. Prints each step and its result. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const PROJECT = resolve(import.meta.dirname, '..');
const BIN = join(PROJECT, 'node_modules/.bin');

interface Step {
  name: string;
  command: string[];
  /** Makes a result line from the output of a command that passed, or finds an error in it. */
  read?: (output: string) => { say?: string; wrong?: string };
}

const bundle = mkdtempSync(join(tmpdir(), 'worldkeep-bundle-'));

const STEPS: Step[] = [
  {
    name: 'format, lint, walls between rooms, import cycles',
    command: ['biome', 'ci', '--colors=off', '--error-on-warnings', '.'],
  },
  { name: 'types', command: ['tsc', '--noEmit', '-p', '.'] },
  { name: 'types of the client', command: ['tsc', '--noEmit', '-p', 'tsconfig.client.json'] },
  { name: 'types of the page', command: ['tsc', '--noEmit', '-p', 'tsconfig.web.json'] },
  {
    name: 'sentences and words',
    command: ['node', 'test/prose/check-prose.ts'],
    read: (output) => ({ say: output.trim().split('\n').at(-1) ?? '' }),
  },
  { name: 'migrations are in order', command: ['drizzle-kit', 'check'] },
  {
    name: 'the migrations match the schema',
    command: ['drizzle-kit', 'generate', '--name', 'forgotten'],
    read: (output) =>
      output.includes('No schema changes')
        ? {}
        : {
            wrong: 'the schema has changed: keep the new migration file, and rename it after its purpose',
          },
  },
  { name: 'the package has no errors', command: ['publint', '--strict'] },
  {
    name: 'the types of the package resolve for ES modules',
    command: ['attw', '--pack', '.', '--profile', 'esm-only', '--no-color', '--no-emoji'],
  },
  {
    name: 'the client is small enough',
    command: ['size-limit', '--json'],
    read: (output) => {
      const sizes: { name: string; size: number }[] = JSON.parse(output);
      return { say: sizes.map(({ name, size }) => `${name} ${size} bytes gzip`).join(', ') };
    },
  },
  ...['', 'staging', 'production'].map((environment) => ({
    name: `the Worker builds${environment && ` for ${environment}`}`,
    command: ['wrangler', 'deploy', '--dry-run', '--outdir', bundle, '--env', environment],
    read: (output: string) => {
      const size = /gzip: [\d.]+ \w+/.exec(output)?.[0];
      return size === undefined ? { wrong: 'wrangler did not print a size' } : { say: size };
    },
  })),
];

let passed = 0;
for (const { name, command, read } of STEPS) {
  const [program = '', ...args] = command;
  const startedAt = performance.now();
  const { status, stdout, stderr, error } = spawnSync(join(BIN, program), args, {
    cwd: PROJECT,
    encoding: 'utf8',
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1' },
  });
  const output = `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`;
  const { say, wrong } = status === 0 ? (read?.(output) ?? {}) : { wrong: `exit ${status}` };
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (wrong === undefined) {
    passed++;
    console.log(`ok    ${name}${say ? ` (${say})` : ''}, ${seconds} s`);
  } else {
    console.log(`FAIL  ${name}: ${wrong}, ${seconds} s\n${output}`);
  }
}
rmSync(bundle, { recursive: true });
const failed = STEPS.length - passed;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
