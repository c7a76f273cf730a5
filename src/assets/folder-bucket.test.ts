import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, open, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { type FolderBucket, openFolderBucket } from './folder-bucket.ts';
import { makeBody, makeBytes, readAll, repeatChunk } from './testing/bodies.ts';
import { describeBucket } from './testing/bucket-contract.ts';

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;
const TYPE = { contentType: 'model/gltf-binary' };
const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'worldkeep-bucket-'));
  folders.push(folder);
  return folder;
}

const openIn = (folder: string): FolderBucket => openFolderBucket(folder, 'ASSETS_FOLDER');

/** The bytes of files that are not complete. */
function countTemporaryBytes(folder: string): number {
  const path = join(folder, '.tmp');
  if (!existsSync(path)) return 0;
  return readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

async function putBytes(bucket: FolderBucket, key: string, bytes: Uint8Array): Promise<void> {
  await bucket.put(key, makeBody([bytes]).stream, { bytes: bytes.length, ...TYPE });
}

describeBucket('a folder', async () => {
  const folder = await makeFolder();
  const reopen = () => openIn(folder);
  return { bucket: reopen(), reopen, sent: null, received: () => countTemporaryBytes(folder) };
});

describe('a folder', () => {
  it('keeps no file of a failed write', async () => {
    const folder = await makeFolder();
    const bucket = openIn(folder);
    const { stream } = makeBody(repeatChunk(1_000, 10), { failure: new Error('gone') });
    await expect(bucket.put('a/b', stream, { bytes: 20_000, ...TYPE })).rejects.toThrow('gone');
    const uploadId = await bucket.createMultipart('a/c', TYPE);
    await expect(
      bucket.uploadPart('a/c', uploadId, 1, makeBody([makeBytes(5)]).stream, 6),
    ).rejects.toMatchObject({ code: 'length_mismatch' });
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
    expect(await readdir(join(folder, '.parts', uploadId))).toEqual(['key']);
    expect(await readdir(join(folder, 'a'))).toEqual([]);
  });

  it('leaves no object when the process dies, and removes the rest of it later', async () => {
    const folder = await makeFolder();
    const script = resolve(import.meta.dirname, 'testing/put-endlessly.ts');
    const child = spawn(process.execPath, [script, folder, 'a/b'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    while (countTemporaryBytes(folder) < 5_000 && child.exitCode === null) await delay(5);
    child.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
    const bucket = openIn(folder);
    expect(await bucket.head('a/b')).toBeNull();
    expect(await bucket.removeAbandoned(DAY_MS, Date.now())).toBe(0);
    expect(countTemporaryBytes(folder)).toBeGreaterThan(0);
    expect(await bucket.removeAbandoned(DAY_MS, Date.now() + DAY_MS)).toBe(1);
    expect(await readdir(join(folder, '.tmp'))).toEqual([]);
  });

  it('removes uploads that got no part for a long time, and nothing else', async () => {
    const folder = await makeFolder();
    const bucket = openIn(folder);
    expect(await bucket.removeAbandoned(DAY_MS, Date.now())).toBe(0);
    await putBytes(bucket, 'a/b', makeBytes(10));
    const old = await bucket.createMultipart('a/c', TYPE);
    const recent = await bucket.createMultipart('a/d', TYPE);
    const twoDaysAgo = new Date(Date.now() - 2 * DAY_MS);
    await utimes(join(folder, '.parts', old), twoDaysAgo, twoDaysAgo);
    await utimes(join(folder, 'a/b'), twoDaysAgo, twoDaysAgo);
    expect(await bucket.removeAbandoned(DAY_MS, Date.now())).toBe(1);
    expect(await readdir(join(folder, '.parts'))).toEqual([recent]);
    expect(await bucket.head('a/b')).toEqual({ bytes: 10 });
  });

  it('reads an object as its reader reads: a later change of the file shows', async () => {
    const folder = await makeFolder();
    const bucket = openIn(folder);
    await putBytes(bucket, 'a', new Uint8Array(4 * MIB));
    const object = await bucket.get('a');
    const file = await open(join(folder, 'a'), 'r+');
    await file.write(new Uint8Array(3 * MIB).fill(1), 0, 3 * MIB, MIB);
    await file.close();
    const bytes = await readAll(object?.body ?? new ReadableStream());
    expect(bytes.slice(MIB).every((byte) => byte === 1)).toBe(true);
  });

  it('fails while an object that became shorter is read', async () => {
    const folder = await makeFolder();
    const bucket = openIn(folder);
    await putBytes(bucket, 'a', makeBytes(MIB));
    const object = await bucket.get('a');
    await writeFile(join(folder, 'a'), 'short');
    await expect(readAll(object?.body ?? new ReadableStream())).rejects.toThrow('shorter');
  });

  it('joins parts again if the process died before it deleted them', async () => {
    const folder = await makeFolder();
    const bucket = openIn(folder);
    const uploadId = await bucket.createMultipart('a', TYPE);
    const etag = await bucket.uploadPart('a', uploadId, 1, makeBody([makeBytes(9)]).stream, 9);
    await putBytes(bucket, 'a', makeBytes(9));
    await bucket.completeMultipart('a', uploadId, [{ part: 1, etag }]);
    expect(await bucket.head('a')).toEqual({ bytes: 9 });
    expect(await readdir(join(folder, '.parts'))).toEqual([]);
  });

  it('stores an object durably under several new folders', async () => {
    const folder = join(await makeFolder(), 'x/y');
    const bucket = openIn(folder);
    await putBytes(bucket, 'a/b/c', makeBytes(10));
    expect(await bucket.head('a/b/c')).toEqual({ bytes: 10 });
    expect(await bucket.head('a/b')).toBeNull();
    expect(await bucket.get('a/b')).toBeNull();
    expect(await bucket.get('a/b/c/d')).toBeNull();
  });

  it('names the setting of a path that is no folder', async () => {
    const path = join(await makeFolder(), 'file');
    await writeFile(path, '');
    const body = makeBody([makeBytes(10)]);
    await expect(openIn(path).put('a', body.stream, { bytes: 10, ...TYPE })).rejects.toMatchObject({
      code: 'store_unavailable',
      needsOperator: true,
      message: 'The folder in ASSETS_FOLDER is not a folder. Correct the path.',
    });
    expect(body.isCancelled).toBe(true);
  });
});
