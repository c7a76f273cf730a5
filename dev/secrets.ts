import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NAMES = [
  'superuserPassword',
  'ownerPassword',
  'appPassword',
  'redisPassword',
  'redisRestToken',
  'qstashToken',
  'qstashCurrentSigningKey',
  'qstashNextSigningKey',
  'metricsToken',
  'sessionSigningKey',
] as const;
/** Secrets that older folders do not have yet. No existing data depends on them. */
const ADDED: readonly string[] = ['sessionSigningKey'];

export type Secrets = Record<(typeof NAMES)[number], string>;

/** Reads the random secrets of a stack's folder; the first call makes them. Only their owner may read the file. */
export function readSecrets(dir: string): Secrets {
  const file = join(dir, 'secrets.json');
  if (!existsSync(file)) {
    if (existsSync(join(dir, 'postgres')))
      throw new Error(
        `${file} is missing. Without its passwords the data in this folder cannot be opened. Restore the file, or delete ${dir} to start again.`,
      );
    mkdirSync(dir, { recursive: true });
    write(file, Object.fromEntries(NAMES.map((name) => [name, makeSecret()])));
  }
  const secrets = parse(readFileSync(file, 'utf8'));
  const added = ADDED.filter((name) => secrets[name] === undefined);
  for (const name of added) secrets[name] = makeSecret();
  const missing = NAMES.filter((name) => !/^[\w-]{16,}$/.test(String(secrets[name])));
  if (missing.length > 0)
    throw new Error(
      `${file} is damaged (${missing.join(', ')}). Restore the file, or delete ${dir} to start again.`,
    );
  if (added.length > 0) write(file, secrets);
  return secrets as Secrets;
}

/** 32 characters. */
function makeSecret(): string {
  return randomBytes(24).toString('base64url');
}

function write(file: string, secrets: Record<string, unknown>): void {
  writeFileSync(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
}

function parse(text: string): Partial<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
