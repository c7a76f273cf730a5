const SEQ = 1_795_342_742_930_000;
export const AT = '2026-11-22T10:19:02.930Z';

export const SPACE_INPUT = { name: 'Plaza', settings: { sky: 'blue' } };
export const SPACE = {
  ...SPACE_INPUT,
  id: 'plaza',
  description: null,
  bounds: null,
  seq: SEQ,
  createdAt: AT,
  updatedAt: AT,
};

export const OBJECT_INPUT = {
  name: 'Chair',
  position: { x: 1, y: 0, z: 2 },
  rotation: { x: 0, y: 0.6, z: 0, w: 0.8 },
  properties: { colour: 'red' },
};
export const OBJECT = {
  ...OBJECT_INPUT,
  id: 'chair',
  spaceId: 'plaza',
  modelId: null,
  parentId: null,
  scale: { x: 1, y: 1, z: 1 },
  seq: SEQ,
  createdBy: 'key_0123456789abcdef',
  updatedBy: 'key_0123456789abcdef',
  createdAt: AT,
  updatedAt: AT,
};

export const AVATAR = {
  id: 'ann',
  displayName: 'Ann',
  avatarUrl: null,
  position: { x: 0, y: 1.6, z: 0 },
  rotation: { x: 0, y: 0, z: 0, w: 1 },
  properties: {},
  seq: SEQ,
};
export const MESSAGE = { id: 'c1', userId: 'ann', text: 'hello', kind: 'text', seq: SEQ, createdAt: AT };
export const POSTED_MESSAGE = { ...MESSAGE, durability: 'committed' };

export const STATE = {
  space: SPACE,
  seq: SEQ,
  durableSeq: SEQ,
  objects: [OBJECT],
  users: [AVATAR],
  models: [],
  media: [],
  chat: [MESSAGE],
};
export const WORLD_INPUT = {
  objects: [{ id: 'chair', ...OBJECT_INPUT }],
  models: [{ id: 'chair-model', url: 'https://assets.example/chair.glb' }],
};
export const WORLD_BACKUP = {
  objects: { lamp: { position: { x: 1, y: 2, z: 3 }, rotation: { x: 0, y: 1.5707, z: 0 }, colour: 'red' } },
  models: { m1: { url: 'https://assets.example/lamp.glb' } },
  chatHistory: [{ text: 'hello', timestamp: 1_700_000_000_000 }],
};
export const STATISTICS = {
  spaceId: 'plaza',
  objects: 1,
  users: 1,
  models: 0,
  media: 0,
  chatMessages: 1,
  seq: SEQ,
  durableSeq: SEQ,
  durabilityLagMs: 0,
  activity: { lastHour: { objectsChanged: 0, messages: 1 }, lastDay: { objectsChanged: 1, messages: 1 } },
  updatedAt: AT,
};

export const USER_INPUT = { displayName: 'Ann', avatarUrl: 'https://assets.example/ann.glb' };
export const USER = { ...USER_INPUT, id: 'ann', properties: {}, createdAt: AT, lastSeenAt: AT };
export const SESSION_INPUT = { userId: 'ann', spaceId: 'plaza', role: 'editor', ttlSeconds: 3_600 };
export const ISSUED_SESSION = {
  id: '01a202f9-7c3a-7aa3-8f6c-2d6f0c9f1f55',
  token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl',
  expiresAt: AT,
};

export const ERASED_PERSON = {
  erased: {
    ...{ profiles: 1, memberships: 1, sessions: 2, messages: 12, events: 9, days: 3 },
    ...{ deadLetters: 0, spilled: 0, authors: 1, files: 1, audit: 31, keys: 2 },
  },
};
export const PERSON_EXPORT = {
  format: 'worldkeep-person/1',
  exportedAt: AT,
  user: USER,
  sessionData: null,
  memberships: [
    { spaceId: 'plaza', role: 'editor', joinedAt: AT, properties: {}, position: null, rotation: null },
  ],
  sessions: [],
  messages: [
    { id: 'c1', spaceId: 'plaza', text: 'hello', kind: 'text', seq: SEQ, createdAt: AT, deletedAt: null },
  ],
  objects: [{ id: 'chair', spaceId: 'plaza', created: true, updated: false }],
  events: [{ id: 'e1', type: 'user.spawn', spaceId: 'plaza', at: AT, data: {} }],
  days: [{ day: '2026-11-22', spaceId: 'plaza', sessions: 1, seconds: 600 }],
  deadLetters: [],
  spilled: [],
  audit: [],
  complete: true,
};

export const PRESENT_PERSON = { userId: 'ann', sessions: 1, joinedAt: AT, lastSeenAt: AT };

export const KEY_INPUT = { scopes: ['read', 'write'], expiresAt: '2030-01-31T00:00:00Z' };
export const KEY = {
  id: 'key_0123456789abcdef',
  tenantId: 'studio',
  scopes: ['read', 'write'],
  createdAt: AT,
  expiresAt: '2030-01-31T00:00:00.000Z',
  revokedAt: null,
};
export const ISSUED_KEY = { ...KEY, secret: `wk_studio_${'x'.repeat(43)}` };

export const HEALTH = {
  status: 'ok',
  persistence: { database: true, cache: true },
  awaySince: { database: null, cache: null },
  worldState: { users: 1, objects: 1, models: 0 },
  batchProcessor: { processed: 0, queued: 0, averageLatency: 0, noEffect: 0 },
  durabilityLagMs: 0,
  log: 'ok',
};

/** One line of each kind, as NDJSON has them. */
export const STATE_LINES = {
  space: { kind: 'space', ...SPACE, durableSeq: SEQ },
  object: { kind: 'object', ...OBJECT },
  user: { kind: 'user', ...AVATAR },
  chat: {
    kind: 'chat',
    messageKind: 'text',
    id: 'c1',
    userId: 'ann',
    text: 'hello',
    seq: SEQ,
    createdAt: AT,
  },
  moved: { kind: 'moved', seq: SEQ },
  gone: { kind: 'gone', id: 'lamp' },
  end: { kind: 'end', seq: SEQ, rev: 3, counts: { object: 1, user: 1, model: 0, media: 0, chat: 1 } },
};

export const UPDATES = {
  ops: [
    { op: 'patch', id: 'chair', position: { x: 1.5, y: 0, z: 2 }, rotation: { x: 0, y: 0.6, z: 0, w: 0.8 } },
    { op: 'put', id: 'lamp', position: { x: 0, y: 3, z: 0 }, properties: { lit: true }, ifSeq: 0 },
    { op: 'delete', id: 'crate-7' },
    { op: 'user.patch', id: 'ann', position: { x: 0, y: 1.6, z: -2 } },
    { op: 'move', ids: ['crate-1', 'crate-2'], position: [0, 0, 1, 0, 0, 2] },
  ],
};
export const QUEUED = { seq: SEQ, accepted: 6, durability: 'queued' };
export const COMMITTED = {
  seq: SEQ,
  durability: 'committed',
  results: [
    { id: 'chair', status: 'applied' },
    { id: 'lamp', status: 'conflict' },
    { id: 'crate-7', status: 'unknown_object' },
    { id: 'ann', status: 'applied' },
    { id: 'crate-1', status: 'applied' },
    { id: 'crate-2', status: 'applied' },
  ],
};
const CHANGE = {
  seq: SEQ,
  actor: 'ann',
  ops: [{ op: 'patch', id: 'chair', position: { x: 1.5, y: 0, z: 2 } }],
};
export const CHANGES = { changes: [CHANGE], head: SEQ };
export const EVENTS = [
  'retry: 1000\n\n',
  `event: change\nid: ${SEQ}\ndata: ${JSON.stringify({ ...CHANGE, prev: SEQ - 1 })}\n\n`,
  `event: reset\nid: ${SEQ + 1}\ndata: {"seq":${SEQ + 1}}\n\n`,
].join('');
export const DEAD_LETTER = {
  id: '019ab3f2-6d0e-7c51-9a4e-2b6de2f3a111',
  spaceId: 'plaza',
  seq: SEQ,
  actor: 'ann',
  op: { op: 'patch', id: 'chair', properties: { note: 'longer than the rest of 64 KiB' } },
  error: { code: '23514', constraint: 'world_objects_properties_size' },
  createdAt: AT,
  replayedAt: null,
};

export const AUDIT_ENTRY = {
  id: '4711',
  at: AT,
  actor: 'ann',
  requestId: '6b1f0f5c-2a8b-4d0c-9d0e-3f7b2f2c9a10',
  table: 'world_objects',
  action: 'update',
  spaceId: 'plaza',
  objectId: 'chair',
  userId: null,
  old: { name: 'Chair', properties: { colour: 'red' } },
  new: { name: 'Red chair', properties: { colour: 'blue' } },
  isErased: false,
};

export const LIBRARY_MODEL = {
  id: '019abf2e-7c31-7b52-8a3e-0a6f0c3d9b11',
  name: 'duck.glb',
  url: '/v1/models/019abf2e-7c31-7b52-8a3e-0a6f0c3d9b11/file',
  sha256: '44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38',
  bytes: 691_644,
  contentType: 'model/gltf-binary',
  createdAt: AT,
  details: {
    format: 'glb',
    version: '2.0',
    generator: 'Blender',
    nodes: 6,
    meshes: 1,
    materials: 1,
    textures: 1,
    animations: 0,
    skins: 0,
    triangles: 4_212,
    extensions: [],
    boundingBox: { min: { x: -1, y: 0, z: -1 }, max: { x: 1, y: 2, z: 1 } },
  },
};
export const LIBRARY_MEDIA = {
  ...LIBRARY_MODEL,
  name: 'sky.png',
  url: '/v1/media/019abf2e-7c31-7b52-8a3e-0a6f0c3d9b11/file',
  contentType: 'image/png',
  details: { width: 2_048, height: 1_024 },
};
export const FILE_UPLOAD = {
  id: '019abf2e-7c31-7b52-8a3e-0a6f0c3d9b12',
  name: 'city.glb',
  bytes: 20_000_000,
  partBytes: 8_388_608,
  parts: 3,
  missing: [2, 3],
  expiresAt: AT,
};

export const EVENTS_INPUT = {
  events: [
    { type: 'door.opened', spaceId: 'plaza', userId: 'ann', data: { door: 'north' } },
    { id: 'purchase-17', type: 'purchase', userId: 'ann', data: { price: 12.5 } },
  ],
};
export const EVENT_COUNTS = { accepted: 2, duplicates: 0, dropped: 0 };

export const INCIDENT = {
  id: '019ab3f2-6d0e-7c51-9a4e-2b6de2f3a333',
  spaceId: 'plaza',
  kind: 'log_gap',
  detail: { after: SEQ, next: SEQ + 1_000 },
  at: AT,
};

const JOB_RUN = { startedAt: AT, endedAt: AT, status: 'ok', counts: { events: 40 }, failure: null };
export const JOB_RUNS = {
  jobs: [
    {
      job: 'cleanup',
      schedule: '17 * * * *',
      nextRunAt: '2026-11-22T11:17:00.000Z',
      lastRun: JOB_RUN,
      runs: [JOB_RUN],
    },
  ],
};

const HISTOGRAM = { le: [0.005, 0.01, 0.025], counts: [90, 97, 100], count: 101, sumSeconds: 0.42 };
export const OPERATIONS = {
  at: AT,
  health: {
    status: 'ok',
    persistence: { database: true, cache: true },
    awaySince: { database: null, cache: null },
  },
  tenant: {
    appended: 81_204,
    drained: 81_180,
    pendingSpaces: 1,
    pendingOperations: 24,
    pendingEntries: 3,
    pendingBytes: 2_310,
    oldestPendingMs: 84.2,
    spilled: 0,
    streams: 12,
  },
  spaces: [
    {
      id: 'plaza',
      seq: SEQ,
      appended: 81_204,
      pendingOperations: 24,
      pendingEntries: 3,
      pendingBytes: 2_310,
      oldestPendingMs: 84.2,
      streams: 12,
      sessions: 9,
    },
  ],
  deployment: {
    streams: 30,
    pendingSpaces: 2,
    appended: 204_311,
    drained: 204_200,
    withoutEffect: 15,
    cacheHits: 9_120,
    cacheMisses: 44,
    latency: { append: HISTOGRAM, read: HISTOGRAM, commit: HISTOGRAM },
  },
};
