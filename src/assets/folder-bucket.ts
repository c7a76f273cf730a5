import { createHash, randomUUID } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError, readSystemCode } from '../world/errors.ts';
import { type Bucket, bucketAway, bucketRefuses, checkKey } from './bucket.ts';
import { CheckedBody } from './checked-body.ts';
import { appendStream, makeFolder, readStream, writeWhole } from './folder-files.ts';
import { FolderUploads } from './folder-uploads.ts';

export interface FolderBucket extends Bucket {
  /**
   * Deletes the files of writes that died, and uploads in parts that got no part for that long.
   * @param olderThanMs longer than the longest pause of a client. A day is safe.
   * @param now milliseconds since 1970
   * @returns the number of deleted files and uploads
   * @throws store_unavailable
   */
  removeAbandoned(olderThanMs: number, now: number): Promise<number>;
}

// No key contains a dot, so no object is in these folders.
const TEMPORARY_FOLDER = '.tmp';
const PARTS_FOLDER = '.parts';

/** Errors of the system that only an operator can correct. */
const REFUSALS: Record<string, string> = {
  EACCES: 'may not be used by this process. Change its owner or its mode.',
  EPERM: 'may not be used by this process. Change its owner or its mode.',
  EROFS: 'is on a read-only disk. Name another folder.',
  ENOSPC: 'is on a full disk. Free some space.',
  EDQUOT: 'has reached its disk quota. Free some space.',
  ENOTDIR: 'is not a folder. Correct the path.',
  EEXIST: 'is not a folder. Correct the path.',
};

/**
 * A bucket in a folder, for one or more processes of Node on one machine. Objects are files, and their names are the keys.
 * The folder does not store content types.
 * @param path the folder. The first write creates it.
 * @param variable the name of the setting that has the path, for messages
 */
export function openFolderBucket(path: string, variable: string): FolderBucket {
  const root = resolve(path);
  const newTemporary = () => join(root, TEMPORARY_FOLDER, `${randomUUID()}.tmp`);
  const uploads = new FolderUploads(join(root, PARTS_FOLDER), newTemporary);

  const locate = (key: string): string => {
    checkKey(key);
    return join(root, key);
  };

  const explain = (error: unknown): AppError => {
    if (error instanceof AppError) return error;
    const code = readSystemCode(error) ?? '';
    const refusal = REFUSALS[code];
    return refusal === undefined
      ? bucketAway(`The folder in ${variable} does not work now (${code || 'unknown cause'}).`, error)
      : bucketRefuses(`The folder in ${variable} ${refusal}`, error);
  };

  const ask = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw explain(error);
    });

  /** Does work that reads a body. An error of the body is not the folder's. */
  async function take<T>(
    body: CheckedBody,
    work: (stream: ReadableStream<Uint8Array>) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(body.stream);
    } catch (error) {
      throw body.failure === null ? explain(error) : body.failure.error;
    } finally {
      await body.abandon();
    }
  }

  return {
    async put(key, body, { bytes, sha256 }) {
      const target = locate(key);
      const digest = sha256 && { sha256, hash: createHash('sha256') };
      await take(new CheckedBody(body, { bytes, digest }), async (stream) => {
        await makeFolder(dirname(target));
        await writeWhole(target, newTemporary(), (file) => appendStream(file, stream));
      });
    },

    async get(key, range) {
      const file = await ask(nullIfMissing(open(locate(key))));
      if (file === null) return null;
      const found = await file.stat();
      if (!found.isFile()) {
        await file.close();
        return null;
      }
      const first = range?.first ?? 0;
      const bytes = range === undefined ? found.size : range.last - first + 1;
      return { body: readStream(file, first, bytes), bytes };
    },

    async head(key) {
      const found = await ask(nullIfMissing(stat(locate(key))));
      return found?.isFile() ? { bytes: found.size } : null;
    },

    async delete(keys) {
      for (const target of keys.map(locate)) await ask(nullIfMissing(rm(target, { force: true })));
    },

    async createMultipart(key) {
      checkKey(key);
      return await ask(uploads.create(key));
    },

    async uploadPart(key, uploadId, part, body, bytes) {
      checkKey(key);
      return await take(new CheckedBody(body, { bytes }), (stream) =>
        uploads.write(key, uploadId, part, stream),
      );
    },

    async completeMultipart(key, uploadId, parts) {
      const target = locate(key);
      await ask(makeFolder(dirname(target)));
      await ask(uploads.complete(key, uploadId, parts, target));
    },

    async abortMultipart(key, uploadId) {
      checkKey(key);
      await ask(uploads.abort(key, uploadId));
    },

    async removeAbandoned(olderThanMs, now) {
      let removed = 0;
      for (const folder of [TEMPORARY_FOLDER, PARTS_FOLDER])
        for (const name of (await ask(nullIfMissing(readdir(join(root, folder))))) ?? []) {
          const entry = join(root, folder, name);
          const found = await ask(nullIfMissing(stat(entry)));
          if (found === null || now - found.mtimeMs < olderThanMs) continue;
          await ask(rm(entry, { recursive: true, force: true }));
          removed++;
        }
      return removed;
    },
  };
}

/** A file that is missing, or whose folder is a file. */
async function nullIfMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(readSystemCode(error) ?? '')) return null;
    throw error;
  }
}
