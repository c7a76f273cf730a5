import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** A server program that has been seen to run. */
export interface RedisProgram {
  path: string;
  /** The text that it prints for --version. */
  version: string;
  env: NodeJS.ProcessEnv;
}

const SERVERS = ['redis-server', 'valkey-server'];
/** The -server packages hold a link to the program, which is in -tools. */
const PACKAGES = [
  ['redis-server', 'redis-tools'],
  ['valkey-server', 'valkey-tools'],
];
const CACHED_NAME = 'redis';
const HOW_TO_INSTALL =
  'install it (apt install redis-server, dnf install valkey, apk add redis or brew install redis) and start again';
/** So that apt neither asks, nor drops its rights to a user who cannot enter this folder, nor waits for ever. */
const APT_OPTIONS = [
  'APT::Sandbox::User=root',
  'Acquire::Retries=2',
  'Acquire::http::Timeout=20',
  'Acquire::https::Timeout=20',
  'Debug::NoLocking=true',
  'APT::Update::Error-Mode=any',
];
/** Hooks that the machine runs after its own updates do not run for ours. */
const APT_CONFIG = ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success']
  .map((name) => `#clear APT::Update::${name};\n`)
  .join('');

/**
 * Finds a Redis (or Valkey) server: on PATH, or in `cacheDir`. Otherwise it fetches Debian's packages into `cacheDir`, without root and
 * without a change to the system's packages. If all fail, it throws one sentence on how to install Redis.
 */
export async function findRedis(cacheDir: string, log: (line: string) => void): Promise<RedisProgram> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const server of SERVERS)
    for (const folder of folders) {
      const program = await tryProgram(join(folder, server), process.env);
      if (program !== null) return program;
    }
  const cached = join(cacheDir, CACHED_NAME);
  return (await findUnpacked(cached)) ?? (await fetchRedis(cacheDir, log));
}

/** Runs the program: a file that is there but cannot be executed, or is another thing, is no server. */
async function tryProgram(path: string, env: NodeJS.ProcessEnv): Promise<RedisProgram | null> {
  try {
    await access(path, constants.X_OK);
    const { stdout } = await promisify(execFile)(path, ['--version'], { env, timeout: 10_000 });
    return /server.*v=/i.test(stdout) ? { path, version: stdout.trim(), env } : null;
  } catch {
    return null;
  }
}

async function findUnpacked(root: string): Promise<RedisProgram | null> {
  const names = await readdir(root, { recursive: true }).catch(() => []);
  const libraries = new Set(
    names.filter((name) => /\.so(\.|$)/.test(name)).map((name) => join(root, name, '..')),
  );
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
  for (const server of SERVERS) {
    const program = await tryProgram(join(root, 'usr/bin', server), env);
    if (program !== null) return program;
  }
  return null;
}

async function fetchRedis(cacheDir: string, log: (line: string) => void): Promise<RedisProgram> {
  if ((await findOnPath('apt-get')) === null || (await findOnPath('dpkg-deb')) === null)
    throw new Error(`Redis is not installed, and this is no Debian to fetch it from: ${HOW_TO_INSTALL}.`);
  // A separate folder, renamed when it is complete: two parallel downloads do not meet.
  const work = join(cacheDir, `fetching-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(join(work, 'root'), { recursive: true });
  try {
    log('Redis is not installed: fetching it from Debian’s packages into this project (about 2 MB)');
    const packages = await download(work, log);
    for (const file of packages) await promisify(execFile)('dpkg-deb', ['-x', file, join(work, 'root')]);
    if ((await findUnpacked(join(work, 'root'))) === null)
      throw new Error('the program that was fetched does not run on this machine');
    return await moveIntoPlace(join(work, 'root'), join(cacheDir, CACHED_NAME));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Redis is not installed and could not be fetched (${reason}): ${HOW_TO_INSTALL}.`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function moveIntoPlace(unpacked: string, place: string): Promise<RedisProgram> {
  const aside = `${unpacked}-before`;
  for (let tries = 0; tries < 3; tries++) {
    const program = await findUnpacked(place);
    if (program !== null) return program;
    await rename(place, aside).catch(() => undefined);
    await rename(unpacked, place).catch(() => undefined);
    await rm(aside, { recursive: true, force: true });
  }
  throw new Error(`${place} cannot be written`);
}

/** @returns the package files: first with the lists the system has, then with lists of its own. */
async function download(work: string, log: (line: string) => void): Promise<string[]> {
  const config = join(work, 'apt.conf');
  const archives = join(work, 'archives');
  await writeFile(config, APT_CONFIG);
  await mkdir(join(archives, 'partial'), { recursive: true });
  const own = [`Dir::Cache=${join(work, 'cache')}/`, `Dir::Cache::archives=${archives}/`];
  const lists = join(work, 'lists');
  const attempts = [own, [...own, `Dir::State::lists=${lists}/`]];
  let failure = '';
  for (const [attempt, options] of attempts.entries()) {
    const run = (args: string[]) =>
      runApt(
        ['-c', config, ...[...APT_OPTIONS, ...options].flatMap((option) => ['-o', option]), ...args],
        log,
      );
    if (attempt > 0) {
      log('reading the package lists');
      await mkdir(join(lists, 'partial'), { recursive: true });
      failure = await run(['update']);
      if (failure !== '') continue;
    }
    for (const packages of PACKAGES) {
      const said = await run([
        'install',
        '-y',
        '--no-install-recommends',
        '--reinstall',
        '--download-only',
        ...packages,
      ]);
      const files = (await readdir(archives)).filter((name) => name.endsWith('.deb'));
      // The C library stays the machine's own: another one does not work with the machine's loader.
      if (said === '' && files.length > 0)
        return files.filter((name) => !name.startsWith('libc6_')).map((name) => join(archives, name));
      failure ||= said;
    }
  }
  throw new Error(failure === '' ? 'no package was found' : failure);
}

/** Runs apt-get, and tells of each file it gets. @returns '' or the first error it printed. */
async function runApt(args: string[], log: (line: string) => void): Promise<string> {
  const apt = spawn('apt-get', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  });
  const errors: string[] = [];
  createInterface({ input: apt.stderr }).on('line', (line) => {
    if (line.startsWith('E: ')) errors.push(line.slice(3));
  });
  createInterface({ input: apt.stdout }).on('line', (line) => {
    const got = /^Get:\d+ \S+ \S+ \S+ (\S+) \S+ (\S+) \[(.*)\]$/.exec(line);
    if (got !== null) log(`fetching ${got[1]} ${got[2]} (${got[3]})`);
  });
  const code = await new Promise<number | null>((resolve) => {
    apt.once('error', () => resolve(null));
    apt.once('close', resolve);
  });
  return code === 0 ? '' : (errors[0] ?? `apt-get ended with ${code}`);
}

async function findOnPath(name: string): Promise<string | null> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (
      folder !== '' &&
      (await access(path, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return path;
  }
  return null;
}
