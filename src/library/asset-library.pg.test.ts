import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { uuidv7 } from 'uuidv7';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeGlb, PNG } from '../../test/http/glb.ts';
import { DRIVERS, makeWorld } from '../../test/layers.ts';
import { openFolderBucket } from '../assets/folder-bucket.ts';
import { createAssetStore } from '../postgres/asset-store.ts';
import { looseObjects } from '../postgres/schema/assets.ts';
import { AppError } from '../world/errors.ts';
import { AssetLibrary, type AssetLibraryOptions, type AssetStore, type FileStore } from './asset-library.ts';

const TINY_FILES = 200;

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new Blob([bytes]).stream();
}

function inputOf(bytes: Uint8Array, sha256: string | null = null) {
  return { name: 'a.glb', contentType: null, bytes: bytes.length, sha256 };
}

const hexOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const away = () => new AppError('store_unavailable', 'The bucket does not answer.');

describe.each(Object.entries(DRIVERS))('an asset library, on %s and a folder', (_, openDriver) => {
  const postgres = openDriver();
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'worldkeep-library-'));
  });
  afterAll(async () => {
    await postgres.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** A library of a new tenant, with a bucket of its own. */
  async function open({
    store = {},
    files = {},
    ...options
  }: { store?: Partial<AssetStore>; files?: Partial<FileStore> } & Partial<AssetLibraryOptions> = {}) {
    const { tenantId } = await makeWorld(postgres);
    const folder = await mkdtemp(join(dir, 'bucket-'));
    const bucket = openFolderBucket(folder, 'ASSET_DIR');
    const failures: unknown[] = [];
    const make = (changes: Partial<AssetStore> = {}, fileChanges: Partial<FileStore> = {}) =>
      new AssetLibrary(
        { ...createAssetStore(postgres), ...changes },
        { ...bucket, ...fileChanges },
        {
          bytesMax: 1_000_000,
          fileBytesMax: 10_000_000,
          quotaBytes: 1_000_000_000,
          now: Date.now,
          createId: uuidv7,
          onFailure: (cause) => void failures.push(cause),
          createHash() {
            const hash = createHash('sha256');
            return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest() };
          },
          ...options,
        },
      );
    const listObjects = async () => {
      const names = await readdir(folder, { recursive: true });
      return names.filter((name) => name.startsWith('files/'));
    };
    const listLoose = async () => {
      const [rows] = await postgres.inTenant(tenantId, (db) => [
        db.select({ key: looseObjects.objectKey }).from(looseObjects),
      ]);
      return rows;
    };
    const library = make(store, files);
    const list = async () => (await library.list(tenantId, 'model', {})).items;
    const sweep = (graceSeconds: number) => make().sweep({ objectsMax: 100_000, graceSeconds });
    return { tenantId, library, make, listObjects, listLoose, list, sweep, failures };
  }

  it('[A3] stores the same bytes once, also if two uploads end at the same time', async () => {
    const { tenantId, library, listObjects, list } = await open();
    const file = makeGlb();
    const uploads = await Promise.all(
      Array.from({ length: 8 }, () => library.upload(tenantId, 'model', inputOf(file), streamOf(file))),
    );
    expect([(await listObjects()).length, (await list()).length]).toEqual([1, 8]);
    for (const [i, { id }] of uploads.entries()) {
      await library.delete(tenantId, 'model', id);
      expect(await listObjects()).toHaveLength(i < 7 ? 1 : 0);
    }
  });

  it('[A3] does not write known bytes again if their digest is announced', async () => {
    const { tenantId, library, make } = await open();
    const file = makeGlb();
    await library.upload(tenantId, 'model', inputOf(file), streamOf(file));
    const put = () => Promise.reject(new Error('It was written again.'));
    const known = await make({}, { put }).upload(
      tenantId,
      'model',
      inputOf(file, hexOf(file)),
      streamOf(file),
    );
    expect(known.sha256).toBe(hexOf(file));
    await expect(
      make({}, { put }).upload(tenantId, 'model', inputOf(file, hexOf(file)), streamOf(makeGlb())),
    ).rejects.toMatchObject({ code: 'digest_mismatch' });
    await expect(
      library.upload(tenantId, 'media', inputOf(new Uint8Array(), hexOf(file)), null),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('[A11] keeps the quota of a tenant, whatever ends at the same time', async () => {
    const file = makeGlb();
    const { tenantId, library, listObjects, list } = await open({ quotaBytes: 3 * file.length + 10 });
    const uploads = await Promise.allSettled(
      Array.from({ length: 8 }, () => {
        const one = makeGlb();
        return library.upload(tenantId, 'model', inputOf(one), streamOf(one));
      }),
    );
    const refused = uploads.filter(({ status }) => status === 'rejected');
    expect([(await list()).length, (await listObjects()).length, refused.length]).toEqual([3, 3, 5]);
    for (const upload of refused)
      expect(upload).toMatchObject({
        reason: { code: 'quota_exceeded', message: expect.stringContaining('bytes') },
      });
    const [first] = await list();
    await library.delete(tenantId, 'model', first?.id ?? '');
    await library.upload(tenantId, 'model', inputOf(file), streamOf(file));
    expect(await list()).toHaveLength(3);
  });

  it.each([
    ['before it is written', 'put'],
    ['while it is noted', 'beginObject'],
    ['before it is registered', 'registerObject'],
  ] as const)('[A12] adds nothing if the bucket or Postgres is away %s', async (_when, method) => {
    const fails = { [method]: () => Promise.reject(away()) };
    const isFile = method === 'put';
    const { tenantId, library, listObjects, listLoose, list } = await open(
      isFile ? { files: fails as Partial<FileStore> } : { store: fails as Partial<AssetStore> },
    );
    const file = makeGlb();
    await expect(library.upload(tenantId, 'model', inputOf(file), streamOf(file))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect([await list(), await listObjects(), await listLoose()]).toEqual([[], [], []]);
  });

  it('[A12] deletes what a crash left, after the grace period, and lets no late upload use it', async () => {
    const crash = () => new Promise<never>(() => undefined);
    const { tenantId, make, listObjects, list, sweep } = await open();
    const file = makeGlb();
    const reached = Promise.withResolvers<void>();
    const registerObject = () => {
      reached.resolve();
      return crash();
    };
    void make({ registerObject }).upload(tenantId, 'model', inputOf(file), streamOf(file));
    await reached.promise;
    expect(await listObjects()).toHaveLength(1);
    await sweep(3_600);
    expect(await listObjects()).toHaveLength(1);
    // Another upload is slow: the sweep comes before its end.
    const late = makeGlb();
    const store = createAssetStore(postgres);
    const slow: AssetStore['registerObject'] = async (...args) => {
      await sweep(-1);
      return store.registerObject(...args);
    };
    await expect(
      make({ registerObject: slow }).upload(tenantId, 'model', inputOf(late), streamOf(late)),
    ).rejects.toMatchObject({ code: 'conflict' });
    expect([await listObjects(), await list()]).toEqual([[], []]);
  });

  /** Reads the bytes of a model back. */
  async function readBytes(library: AssetLibrary, tenantId: string, id: string): Promise<Uint8Array> {
    const { read } = await library.open(tenantId, 'model', id);
    return new Uint8Array(await new Response(await read()).arrayBuffer());
  }

  it('[A12b] keeps the bytes of a file whose registration lost its answer', async () => {
    const store = createAssetStore(postgres);
    const { tenantId, make, list, library } = await open();
    const registerObject: AssetStore['registerObject'] = async (...args) => {
      await store.registerObject(...args);
      throw new AppError('store_unavailable', 'The answer was lost.');
    };
    const file = makeGlb();
    await expect(
      make({ registerObject }).upload(tenantId, 'model', inputOf(file), streamOf(file)),
    ).rejects.toMatchObject({ code: 'store_unavailable' });
    const [kept] = await list();
    expect(await readBytes(library, tenantId, kept?.id ?? '')).toEqual(file);
    const again = await library.upload(tenantId, 'model', inputOf(file), streamOf(file));
    expect(await readBytes(library, tenantId, again.id)).toEqual(file);
  });

  it.each(['completes', 'ends'])(
    '[A12b] keeps the bytes of a completed upload, also if another request %s it meanwhile',
    async (what) => {
      const { tenantId, library, list } = await open();
      const file = makeGlb();
      for (let round = 0; round < 5; round++) {
        const { id } = await library.beginUpload(tenantId, 'model', inputOf(file));
        await library.putPart(tenantId, 'model', { id, part: 1, bytes: file.length }, streamOf(file));
        const other =
          what === 'completes'
            ? library.completeUpload(tenantId, 'model', id)
            : library.abortUpload(tenantId, 'model', id);
        await Promise.allSettled([library.completeUpload(tenantId, 'model', id), other]);
        for (const model of await list()) expect(await readBytes(library, tenantId, model.id)).toEqual(file);
      }
    },
  );

  it('[A12] sweeps bytes that could not be deleted with their model', async () => {
    const { tenantId, library, make, listObjects, sweep, failures } = await open();
    const file = makeGlb();
    const { id } = await library.upload(tenantId, 'model', inputOf(file), streamOf(file));
    await make({}, { delete: () => Promise.reject(away()) }).delete(tenantId, 'model', id);
    expect([(await listObjects()).length, failures.length]).toEqual([1, 1]);
    await sweep(3_600);
    expect(await listObjects()).toEqual([]);
  });

  it(`[A12] takes ${TINY_FILES} tiny uploads at the same time`, async () => {
    const { tenantId, library, listObjects } = await open();
    const files = Array.from({ length: TINY_FILES }, (_, i) => {
      const file = new Uint8Array(PNG.length + 4);
      file.set(PNG);
      new DataView(file.buffer).setUint32(PNG.length, i);
      return file;
    });
    const added = await Promise.all(
      files.map((file) => library.upload(tenantId, 'media', inputOf(file), streamOf(file))),
    );
    expect(new Set(added.map(({ sha256 }) => sha256)).size).toBe(TINY_FILES);
    expect(await listObjects()).toHaveLength(TINY_FILES);
    const { items, nextCursor } = await library.list(tenantId, 'media', { limit: '150' });
    const rest = await library.list(tenantId, 'media', { limit: '150', cursor: nextCursor ?? '' });
    expect([...items, ...rest.items].map(({ id }) => id)).toEqual(
      added
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    );
  });
});
