import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** A program that a part of this project runs, and that no npm package brings. */
export interface Wanted {
  /** As a sentence begins with it. */
  title: string;
  /** Names of the file: any of them serves. */
  names: readonly string[];
  /** A part of the text that it prints for --version. */
  version: RegExp;
  /** Debian's packages with it: the first list that can be fetched. */
  packages: readonly (readonly string[])[];
  /** The folder of the fetched program, in the cache. */
  cachedName: string;
  megabytes: number;
  /** Continues a sentence. */
  howToInstall: string;
}

/** A program that has been seen to run. */
export interface FoundProgram {
  path: string;
  /** The text that it prints for --version. */
  version: string;
  env: NodeJS.ProcessEnv;
}

export const REDIS: Wanted = {
  title: 'Redis',
  names: ['redis-server', 'valkey-server'],
  version: /server.*v=/i,
  // The -server packages hold a link to the program, which is in -tools.
  packages: [
    ['redis-server', 'redis-tools'],
    ['valkey-server', 'valkey-tools'],
  ],
  cachedName: 'redis',
  megabytes: 2,
  howToInstall:
    'install it (apt install redis-server, dnf install valkey, apk add redis or brew install redis) and start again',
};

/** Checks the text of /metrics, the alerts, and their tests. */
export const PROMTOOL: Wanted = {
  title: 'promtool',
  names: ['promtool'],
  version: /^promtool, version /m,
  packages: [['prometheus']],
  cachedName: 'prometheus',
  megabytes: 40,
  howToInstall: 'install it (apt install prometheus or brew install prometheus) and start again',
};

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
 * Finds a program: on PATH, or in `cacheDir`. Otherwise it fetches Debian's packages into `cacheDir`, without root and without a change to
 * the system's packages. If all fail, it throws one sentence on how to install the program.
 */
export async function findProgram(
  wanted: Wanted,
  cacheDir: string,
  log: (line: string) => void,
): Promise<FoundProgram> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const name of wanted.names)
    for (const folder of folders) {
      const program = await tryProgram(wanted, join(folder, name), process.env);
      if (program !== null) return program;
    }
  const cached = join(cacheDir, wanted.cachedName);
  return (await findUnpacked(wanted, cached)) ?? (await fetchProgram(wanted, cacheDir, log));
}

/** Runs the program: a file that is there but cannot be executed, or is another thing, is not it. */
async function tryProgram(
  { version }: Wanted,
  path: string,
  env: NodeJS.ProcessEnv,
): Promise<FoundProgram | null> {
  try {
    await access(path, constants.X_OK);
    const { stdout, stderr } = await promisify(execFile)(path, ['--version'], { env, timeout: 10_000 });
    const said = [stdout, stderr].find((text) => version.test(text));
    return said === undefined ? null : { path, version: said.trim(), env };
  } catch {
    return null;
  }
}

async function findUnpacked(wanted: Wanted, root: string): Promise<FoundProgram | null> {
  const names = await readdir(root, { recursive: true }).catch(() => []);
  const libraries = new Set(
    names.filter((name) => /\.so(\.|$)/.test(name)).map((name) => join(root, name, '..')),
  );
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
  for (const name of wanted.names) {
    const program = await tryProgram(wanted, join(root, 'usr/bin', name), env);
    if (program !== null) return program;
  }
  return null;
}

async function fetchProgram(
  wanted: Wanted,
  cacheDir: string,
  log: (line: string) => void,
): Promise<FoundProgram> {
  const { title, howToInstall, megabytes, cachedName } = wanted;
  if ((await findOnPath('apt-get')) === null || (await findOnPath('dpkg-deb')) === null)
    throw new Error(`${title} is not installed, and this is no Debian to fetch it from: ${howToInstall}.`);
  // A separate folder, renamed when it is complete: two parallel downloads do not meet.
  const work = join(cacheDir, `fetching-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(join(work, 'root'), { recursive: true });
  try {
    log(
      `${title} is not installed: fetching it from Debian’s packages into this project (about ${megabytes} MB)`,
    );
    const packages = await download(wanted, work, log);
    for (const file of packages) await promisify(execFile)('dpkg-deb', ['-x', file, join(work, 'root')]);
    if ((await findUnpacked(wanted, join(work, 'root'))) === null)
      throw new Error('the program that was fetched does not run on this machine');
    return await moveIntoPlace(wanted, join(work, 'root'), join(cacheDir, cachedName));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${title} is not installed and could not be fetched (${reason}): ${howToInstall}.`, {
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function moveIntoPlace(wanted: Wanted, unpacked: string, place: string): Promise<FoundProgram> {
  const aside = `${unpacked}-before`;
  for (let tries = 0; tries < 3; tries++) {
    const program = await findUnpacked(wanted, place);
    if (program !== null) return program;
    await rename(place, aside).catch(() => undefined);
    await rename(unpacked, place).catch(() => undefined);
    await rm(aside, { recursive: true, force: true });
  }
  throw new Error(`${place} cannot be written`);
}

/** @returns the package files: first with the lists the system has, then with lists of its own. */
async function download(wanted: Wanted, work: string, log: (line: string) => void): Promise<string[]> {
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
    for (const packages of wanted.packages) {
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
