import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

const READ_BYTES = 64 * 1024;

/**
 * Writes a file so that a crash leaves the whole file under its name, or none. The folder of `target` exists.
 * @param temporary where the bytes go first, on the same file system. It is deleted after a failure.
 */
export async function writeWhole(
  target: string,
  temporary: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  await makeFolder(dirname(temporary));
  try {
    const file = await open(temporary, 'wx');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Appends a stream. The next chunk is read after the file system has taken this one. */
export async function appendStream(file: FileHandle, body: ReadableStream<Uint8Array>): Promise<void> {
  for await (const chunk of body)
    for (let at = 0; at < chunk.byteLength; ) at += (await file.write(chunk, at)).bytesWritten;
}

/** The bytes from `start`, `length` of them. Closes the file at the end, after an error, or when it is cancelled. */
export function readStream(file: FileHandle, start: number, length: number): ReadableStream<Uint8Array> {
  let at = start;
  const end = start + length;
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const chunk = new Uint8Array(Math.min(READ_BYTES, end - at));
          const { bytesRead } = at < end ? await file.read(chunk, 0, chunk.length, at) : { bytesRead: 0 };
          at += bytesRead;
          if (bytesRead > 0) controller.enqueue(chunk.subarray(0, bytesRead));
          else if (at < end) throw new Error('A file became shorter while it was read.');
          if (at < end) return;
          await file.close();
          controller.close();
        } catch (error) {
          await file.close();
          controller.error(error);
        }
      },
      cancel: () => file.close(),
    },
    { highWaterMark: 0 },
  );
}

/** Creates a folder and its parents durably. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = path; folder.length >= first.length; folder = dirname(folder))
    await syncFolder(dirname(folder));
}

/** Without it, a crash of the machine can undo a rename. */
async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a folder.
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
