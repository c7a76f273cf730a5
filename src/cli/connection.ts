import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemCode, UsageError } from './errors.ts';

/** Where the local stack writes down how it can be reached; looked for from the working directory upwards. */
const DEV_FILE = join('.worldkeep', 'dev.json');

const API_KEY = 'WORLDKEEP_API_KEY';

export interface Connection {
  /** Without a slash at the end. */
  url: string;
  apiKey: string;
  /** The variable or the file that has the key, for messages. */
  keyFrom: string;
}

interface Surroundings {
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** `WORLDKEEP_URL` with `WORLDKEEP_API_KEY`, else what the local stack wrote. @throws UsageError naming what is missing. */
export function resolveConnection({ env, cwd }: Surroundings): Connection {
  const { WORLDKEEP_URL: url, WORLDKEEP_API_KEY: apiKey } = env;
  if (url) {
    // The local key is never sent to a server that somebody named.
    if (!apiKey) throw misused('WORLDKEEP_URL is set and WORLDKEEP_API_KEY is not');
    return { url: checkUrl(url, 'WORLDKEEP_URL'), ...readKey(apiKey, API_KEY) };
  }
  const dev = readDevFile(cwd);
  if (dev === null)
    throw misused(
      `no server to talk to: set WORLDKEEP_URL and WORLDKEEP_API_KEY, or start the local stack (npm run dev), which writes ${DEV_FILE}`,
    );
  return {
    url: checkUrl(readMember(dev, 'url'), dev.path),
    ...(apiKey ? readKey(apiKey, API_KEY) : readKey(readMember(dev, 'apiKey'), dev.path)),
  };
}

/** `DATABASE_URL`, else the local stack's. @throws UsageError */
export function resolveDatabaseUrl({ env, cwd }: Surroundings): string {
  const given = env.DATABASE_URL;
  const dev = given ? null : readDevFile(cwd);
  if (!given && dev === null)
    throw misused(
      `no database to talk to: set DATABASE_URL, or start the local stack (npm run dev), which writes ${DEV_FILE}`,
    );
  const url = given || (dev === null ? '' : readMember(dev, 'databaseUrl'));
  // Said without the URL: it holds a password.
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url))
    throw misused(`${given ? 'DATABASE_URL' : dev?.path} must hold a postgres:// URL`);
  return url;
}

/** The file of the local stack, or null without one. @throws UsageError if the file is not from the local stack */
export function readDevMembers(cwd: string): Readonly<Record<string, unknown>> | null {
  return readDevFile(cwd)?.members ?? null;
}

interface DevFile {
  path: string;
  members: Record<string, unknown>;
}

function readDevFile(cwd: string): DevFile | null {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const path = join(folder, DEV_FILE);
    try {
      const members: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (typeof members === 'object' && members !== null)
        return { path, members: members as Record<string, unknown> };
      throw new SyntaxError('no object');
    } catch (error) {
      if (error instanceof SyntaxError)
        throw misused(`${path} is not the JSON object that npm run dev writes`);
      const code = systemCode(error);
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw misused(`${path} cannot be read: ${code}`);
    }
    if (dirname(folder) === folder) return null;
  }
}

function readMember({ path, members }: DevFile, name: string): string {
  const value = members[name];
  if (typeof value !== 'string' || value === '') throw misused(`${path} has no ${name}`);
  return value;
}

function checkUrl(value: string, from: string): string {
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw misused(`${from} must hold an http:// or https:// URL`);
  if (url.username !== '' || url.password !== '')
    throw misused(`${from} must not hold a user name or password`);
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

function readKey(apiKey: string, keyFrom: string): Pick<Connection, 'apiKey' | 'keyFrom'> {
  if (!/^[\x21-\x7e]+$/.test(apiKey))
    throw misused(`${keyFrom} holds no API key: only visible ASCII can be one`);
  return { apiKey, keyFrom };
}

function misused(message: string): UsageError {
  return new UsageError(message, { showUsage: false });
}
