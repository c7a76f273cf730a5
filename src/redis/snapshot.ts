import { compressText, expandText } from '../helpers/compressed-text.ts';
import type {
  KeptWorld,
  Marks,
  SpaceMetadata,
  StateReply,
  StateRequest,
  StateStore,
} from '../state/state-stores.ts';
import type { ReplayAvatar } from '../world/replay.ts';
import { readChatRule } from '../world/schemas.ts';
import type { Seq } from '../world/types.ts';
import type { RedisClient, RedisCommand, RedisReply } from './client.ts';
import { createLostError } from './errors.ts';
import {
  cacheStatsKey,
  logKey,
  logMetaKey,
  metadataKey,
  snapshotAsideKey,
  snapshotKey,
  snapshotRenewerKey,
  stateLoaderKey,
  tenantMarksKey,
} from './keys.ts';
import { type KnownLog, KnownLogs } from './known-logs.ts';
import { readEntry } from './log-drain.ts';
import { checkLength, readCount, readInteger, readList, readSeq, readText, readWord } from './log-reply.ts';
import { COMPLETE_METADATA, KEEP_SNAPSHOT, MARK_TENANT, READ_STATE, SET_CHAT } from './scripts.ts';

export interface SnapshotOptions {
  /** For how long who loads what is missing keeps others from it. */
  loadMs: number;
  renewMs: number;
  /** How long the metadata of a space is shown before it is loaded again. */
  metadataSeconds: number;
  /** For how long a snapshot that nobody reads is kept. */
  snapshotSeconds: number;
  /** For how long a world is taken for too large without being looked at again. */
  largeSeconds: number;
  /** Characters of a snapshot's part, as it is kept: a command's size. */
  partCharactersMax: number;
  entriesMax: number;
  bytesMax: number;
}

const DEFAULTS: SnapshotOptions = {
  loadMs: 10_000,
  renewMs: 5_000,
  metadataSeconds: 60,
  snapshotSeconds: 3_600,
  largeSeconds: 60,
  partCharactersMax: 512 * 1024,
  entriesMax: 5_000,
  bytesMax: 4 * 1024 * 1024,
};

/** Bytes of compressed data: more than any snapshot has. */
const EXPANDED_BYTES_MAX = 128 * 1024 * 1024;
/** Seconds that a snapshot may take to be written aside. */
const ASIDE_SECONDS = 60;
const STATUSES = ['cold', 'deleted', 'moved', 'unverified', 'same', 'large', 'missing', 'state'] as const;
/** Items of a `state` reply before its parts and entries. */
const STATE_HEAD = 16;

/** Snapshots of worlds and their metadata, in Redis. */
export function createStateStore(
  redis: RedisClient,
  changes: Partial<SnapshotOptions> = {},
  known = new KnownLogs(redis),
): StateStore {
  const options = { ...DEFAULTS, ...changes };
  return {
    read: (address, request) =>
      known.call<StateReply>(address, undefined, (log) => {
        const { incarnation } = log;
        const keys = [
          ...[logMetaKey(address), logKey(address, incarnation), snapshotKey(address, incarnation)],
          ...[metadataKey(address, incarnation), tenantMarksKey(address.tenantId)],
          ...[stateLoaderKey(address, incarnation), cacheStatsKey(address.tenantId)],
        ];
        const args = toArguments(log, request, options);
        const read = async () => {
          const list = readList(await redis.eval(READ_STATE, keys, args));
          try {
            return withLast(await readReply(list, incarnation));
          } catch {
            // A copy that cannot be read now cannot be read later either.
            await redis.command(
              'UNLINK',
              snapshotKey(address, incarnation),
              metadataKey(address, incarnation),
            );
            return withLast(await readReply(readList(await redis.eval(READ_STATE, keys, args)), incarnation));
          }
        };
        const { held } = request;
        return known.readWhole(address, incarnation, read, held?.incarnation === incarnation ? held.seq : 0);
      }),

    async keepWorld(address, incarnation, { world, marks, token, isRenewed = false }) {
      known.note(address, incarnation, { durable: world.seq });
      const name = crypto.randomUUID();
      const aside = snapshotAsideKey(address, incarnation, name);
      const text = await compressText(writeWorld(world));
      const parts = split(text, options.partCharactersMax);
      const { seq, objects } = world;
      const head = { seq, epoch: marks.epoch, objects: objects.size, parts: parts.length };
      // One part a request: each is as large as some ways to Redis take.
      for (const [i, part] of parts.entries()) {
        const fields = { ...(i === 0 && head), [i]: part };
        const write: RedisCommand = ['HSET', aside, ...Object.entries(fields).flat().map(String)];
        await redis.pipeline(i === 0 ? [write, ['EXPIRE', aside, String(ASIDE_SECONDS)]] : [write]);
      }
      const kept = await redis.eval(
        KEEP_SNAPSHOT,
        [
          ...[logMetaKey(address), aside, snapshotKey(address, incarnation)],
          ...[tenantMarksKey(address.tenantId), stateLoaderKey(address, incarnation)],
        ],
        [incarnation, token ?? '', isRenewed ? '' : String(options.snapshotSeconds)],
      );
      return readCount(kept) === 1;
    },

    async keepMetadata(address, incarnation, { metadata, marks }) {
      known.note(address, incarnation, { durable: metadata.seq });
      const id = crypto.randomUUID();
      const key = metadataKey(address, incarnation);
      const fields = {
        id,
        rev: metadata.rev,
        version: marks.version,
        holdsUntil: marks.pendingUntil,
        keptAt: await readTime(redis),
        text: await writeMetadata(metadata),
      };
      await redis.pipeline([
        ['HSET', key, ...Object.entries(fields).flat().map(String)],
        ['EXPIRE', key, String(options.metadataSeconds)],
      ]);
      // Settings may have changed while Redis was away.
      const rule = readChatRule(metadata.space.settings);
      await redis.eval(SET_CHAT, [logMetaKey(address)], [incarnation, rule]);
    },

    async completeMetadata(address, incarnation, { id, metadata }) {
      const args = [id, crypto.randomUUID(), await writeMetadata(metadata)];
      await redis.eval(COMPLETE_METADATA, [metadataKey(address, incarnation)], args);
    },

    async keepLarge(address, incarnation, seq) {
      const key = snapshotKey(address, incarnation);
      await redis.pipeline([
        ['DEL', key],
        ['HSET', key, 'seq', String(seq), 'isLarge', '1'],
        ['EXPIRE', key, String(options.largeSeconds)],
      ]);
    },

    async endLoading(address, incarnation, token) {
      const key = stateLoaderKey(address, incarnation);
      if ((await redis.command('GET', key)) === token) await redis.command('DEL', key);
    },

    async beginRenewing(address, incarnation) {
      const key = snapshotRenewerKey(address, incarnation);
      return (await redis.command('SET', key, '1', 'NX', 'PX', String(options.renewMs))) === 'OK';
    },

    async endRenewing(address, incarnation) {
      await redis.command('DEL', snapshotRenewerKey(address, incarnation));
    },

    async markTenant(tenantId, { pendingMs, erases }) {
      const args = [pendingMs === null ? '' : String(pendingMs), erases ? '1' : '0'];
      await redis.eval(MARK_TENANT, [tenantMarksKey(tenantId)], args);
    },
  };
}

/** Where a reply says that the log ends. */
function withLast<Reply extends object>(reply: Reply): Reply & { last?: Seq } {
  return 'seq' in reply ? { ...reply, last: reply.seq as Seq } : reply;
}

function toArguments(
  { incarnation, isUnchecked }: KnownLog,
  request: StateRequest,
  options: SnapshotOptions,
): string[] {
  const { metadataId, version, atLeast, token, hits, misses } = request;
  // A space that was created again shows nothing of the old one.
  const held = request.held?.incarnation === incarnation ? request.held : null;
  const known = version === null ? ['', ''] : version === 'any' ? ['any', ''] : [version.seq, version.rev];
  return [
    ...[incarnation, held?.seq ?? '', held?.epoch ?? '', metadataId === 'own' ? '*' : (metadataId ?? '')],
    ...[...known, atLeast, token],
    ...[options.loadMs, options.bytesMax, options.entriesMax, hits, misses],
    ...[options.metadataSeconds * 1_000_000, options.snapshotSeconds, isUnchecked ? 1 : 0],
  ].map(String);
}

async function readReply(
  list: readonly RedisReply[],
  incarnation: string,
): Promise<StateReply | { movedTo: string } | { isUnverified: true }> {
  const status = readWord(list[0], STATUSES);
  switch (status) {
    case 'cold':
    case 'deleted':
      checkLength(list, 2);
      return { status, incarnation, isChosen: readCount(list[1]) === 1 };
    case 'moved':
      checkLength(list, 2);
      return { movedTo: readText(list[1]) };
    case 'unverified':
      checkLength(list, 1);
      return { isUnverified: true };
    case 'same':
      checkLength(list, 8);
      return {
        status,
        incarnation,
        seq: readCount(list[1]),
        rev: readCount(list[2]),
        renewsMetadata: readCount(list[3]) === 1,
        marks: readMarks(list, 4),
      };
    case 'large':
      checkLength(list, 3);
      return { status, last: readCount(list[1]), committed: readCount(list[2]) };
    case 'missing': {
      checkLength(list, 10);
      const [world, metadata, isChosen] = [1, 2, 3].map((i) => readCount(list[i]) === 1);
      return {
        status,
        incarnation,
        world: world === true,
        metadata: metadata === true,
        isChosen: isChosen === true,
        last: readCount(list[4]),
        committed: readCount(list[5]),
        marks: readMarks(list, 6),
      };
    }
    case 'state':
      return readState(list, incarnation);
  }
}

async function readState(
  list: readonly RedisReply[],
  incarnation: string,
): Promise<Extract<StateReply, { status: 'state' }>> {
  const metadataText = readText(list[5]);
  const from = readCount(list[6]);
  const parts = Math.max(0, readInteger(list[7]));
  const [operations = 0, bytes = 0, micros = 0] = [8, 9, 10].map((i) => readInteger(list[i]));
  const text = list
    .slice(STATE_HEAD, STATE_HEAD + parts)
    .map(readText)
    .join('');
  const entries = [];
  for (let i = STATE_HEAD + parts; i < list.length; i += 2) entries.push(readEntry(list[i], list[i + 1]));
  return {
    status: 'state',
    incarnation,
    last: readCount(list[1]),
    committed: readCount(list[2]),
    entries,
    marks: readMarks(list, 11),
    renewsMetadata: readCount(list[15]) === 1,
    metadata: { id: readText(list[3]), kept: metadataText === '' ? null : await readMetadata(metadataText) },
    snapshot: parts === 0 ? null : await readWorld(from, text),
    behind: operations < 0 ? null : { operations, bytes, ms: micros / 1_000 },
  };
}

function readMarks(list: readonly RedisReply[], at: number): Marks {
  const [version = '0', epoch = '0', pendingUntil = '0'] = [0, 1, 2].map((i) =>
    String(readCount(list[at + i])),
  );
  return { version, epoch, pendingUntil, isErasing: readCount(list[at + 3]) === 1 };
}

/** One line with everything except the objects, then one line per object. */
function writeWorld({ loadedMs, avatars, chat, objects }: KeptWorld): string {
  return [JSON.stringify({ loadedMs, chat, avatars: [...avatars.values()] }), ...objects.values()].join('\n');
}

/** @throws store_unavailable if it was cut, or is of another version. */
async function readWorld(seq: number, text: string): Promise<KeptWorld> {
  try {
    const [head = '', ...lines] = (await expandText(text, EXPANDED_BYTES_MAX)).split('\n');
    const { loadedMs, chat, avatars } = JSON.parse(head) as Pick<KeptWorld, 'loadedMs' | 'chat'> & {
      avatars: ReplayAvatar[];
    };
    return {
      seq,
      loadedMs,
      chat,
      objects: new Map(lines.map((line) => [readId(line), line])),
      avatars: new Map(avatars.map((avatar) => [avatar.id, avatar])),
    };
  } catch (cause) {
    throw createLostError(cause);
  }
}

const ID_BEGINS = '{"id":"';

/** An id holds nothing that JSON would escape. */
function readId(line: string): string {
  const end = line.indexOf('"', ID_BEGINS.length);
  if (!line.startsWith(ID_BEGINS) || end < 0) throw new TypeError('a line that is no object');
  return line.slice(ID_BEGINS.length, end);
}

/** JSON has no maps and sets: lists take their place. */
async function writeMetadata(metadata: SpaceMetadata): Promise<string> {
  const toList = (_key: string, value: unknown) =>
    value instanceof Map || value instanceof Set ? [...value] : value;
  return compressText(JSON.stringify(metadata, toList));
}

async function readMetadata(text: string): Promise<SpaceMetadata> {
  try {
    const { profiles, present, saved, assets, ...metadata } = JSON.parse(
      await expandText(text, EXPANDED_BYTES_MAX),
    );
    return {
      ...metadata,
      profiles: new Map(profiles),
      present: new Set(present),
      saved: { models: new Set(saved.models), media: new Set(saved.media) },
      assets: { models: new Map(assets.models), media: new Map(assets.media) },
    } as SpaceMetadata;
  } catch (cause) {
    throw createLostError(cause);
  }
}

function split(text: string, charactersMax: number): string[] {
  const parts: string[] = [];
  for (let i = 0; i < text.length; i += charactersMax) parts.push(text.slice(i, i + charactersMax));
  return parts;
}

/** As Redis tells it, in microseconds. */
async function readTime(redis: RedisClient): Promise<number> {
  const [seconds, micros] = readList(await redis.command('TIME'));
  return readSeq(seconds) * 1_000_000 + readCount(micros);
}
