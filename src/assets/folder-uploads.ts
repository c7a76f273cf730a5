import { randomUUID } from 'node:crypto';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSystemCode } from '../world/errors.ts';
import { checkParts, PART_BYTES_MIN, type UploadedPart, unknownUpload, wrongParts } from './bucket.ts';
import { appendStream, makeFolder, readStream, writeWhole } from './folder-files.ts';

const ID = /^[0-9a-f-]{36}$/;
const KEY_FILE = 'key';

/** Uploads in parts: a folder for each upload, with a file for each part. Errors are the file system's own, except those named. */
export class FolderUploads {
  readonly #folder: string;
  readonly #newTemporary: () => string;

  /** @param newTemporary returns a path for a file that is not complete, on the same file system */
  constructor(folder: string, newTemporary: () => string) {
    this.#folder = folder;
    this.#newTemporary = newTemporary;
  }

  async create(key: string): Promise<string> {
    const uploadId = randomUUID();
    await makeFolder(join(this.#folder, uploadId));
    await writeFile(join(this.#folder, uploadId, KEY_FILE), key, { flush: true });
    return uploadId;
  }

  /** @returns an etag. The name of the file contains it, so that a repeat never changes a file. @throws not_found */
  async write(
    key: string,
    uploadId: string,
    part: number,
    body: ReadableStream<Uint8Array>,
  ): Promise<string> {
    const folder = await this.#find(key, uploadId);
    const etag = randomUUID();
    try {
      await writeWhole(join(folder, `${part}.${etag}`), this.#newTemporary(), (file) =>
        appendStream(file, body),
      );
    } catch (error) {
      // The upload may have been aborted meanwhile, which deletes its folder.
      await this.#find(key, uploadId);
      throw error;
    }
    return etag;
  }

  /** Joins the parts into a file. A repeat after a crash does the same again. @throws not_found, conflict */
  async complete(
    key: string,
    uploadId: string,
    parts: readonly UploadedPart[],
    target: string,
  ): Promise<void> {
    const folder = await this.#find(key, uploadId);
    checkParts(parts);
    if (parts.some(({ etag }) => !ID.test(etag))) throw wrongParts();
    const paths = parts.map(({ part, etag }) => join(folder, `${part}.${etag}`));
    const sizes = await Promise.all(paths.map(readSize));
    checkSizes(sizes);
    await writeWhole(target, this.#newTemporary(), async (joined) => {
      for (const [i, path] of paths.entries())
        await appendStream(joined, readStream(await open(path), 0, sizes[i] ?? 0));
    });
    await rm(folder, { recursive: true, force: true });
  }

  async abort(key: string, uploadId: string): Promise<void> {
    const folder = await this.#find(key, uploadId).catch(() => null);
    if (folder !== null) await rm(folder, { recursive: true, force: true });
  }

  /** @returns the folder of the upload. @throws not_found, also for an upload of another key */
  async #find(key: string, uploadId: string): Promise<string> {
    if (!ID.test(uploadId)) throw unknownUpload();
    const folder = join(this.#folder, uploadId);
    const found = await readFile(join(folder, KEY_FILE), 'utf8').catch((error: unknown) => {
      if (readSystemCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (found !== key) throw unknownUpload();
    return folder;
  }
}

async function readSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw readSystemCode(error) === 'ENOENT' ? wrongParts(error) : error;
  }
}

/** R2 and S3 have these rules. A folder needs none, but a mistake must show in development. */
function checkSizes(sizes: readonly number[]): void {
  const first = sizes[0] ?? 0;
  const last = sizes.at(-1) ?? 0;
  const areEqual = sizes.slice(0, -1).every((size) => size === first);
  if (sizes.length > 1 && (first < PART_BYTES_MIN || !areEqual || last > first)) throw wrongParts();
}
