import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pid } from 'node:process';
import type { Context } from './command.ts';
import { CommandError, systemCode } from './errors.ts';

/** A temporary file gets the final name when it is complete on disk: there is never half of a file. */
export async function writeFileWhole(
  path: string,
  shown: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${pid}.part`);
  try {
    if ((await stat(path).catch(() => null))?.isDirectory())
      throw new CommandError('cannot_write', `${shown} is a folder, not a file`);
    {
      await using handle = await open(temporary, 'wx');
      await write(handle);
      await handle.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (error instanceof CommandError) throw error;
    const code = systemCode(error);
    const reason = code === 'ENOENT' ? 'its folder does not exist' : (code ?? String(error));
    throw new CommandError('cannot_write', `${shown} cannot be written: ${reason}`, {}, error);
  }
}

export function writeStdout({ stdout }: Pick<Context, 'stdout'>, bytes: Uint8Array): Promise<void> {
  return new Promise((done, fail) => {
    stdout.write(bytes, (error) => (error ? fail(error) : done()));
  });
}
