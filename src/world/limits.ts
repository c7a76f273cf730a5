/** The limits of a world. Each has a name and a unit. A larger input is refused with the limit and the actual size. */
export const LIMITS = {
  /** Characters of an id. */
  idLengthMax: 128,
  /** Characters of an object's, space's, user's, model's or media's name. */
  nameLengthMax: 256,
  /** Characters of a space's description. */
  descriptionLengthMax: 4_096,
  /** Characters of a URL. */
  urlLengthMax: 2_048,
  /** Bytes of `properties` or `settings` as Postgres prints the jsonb (`1e308` prints 309 digits). */
  propertiesBytesMax: 65_536,
  /** Levels of nesting inside `properties` or `settings`: `{}` is 1. */
  propertiesDepthMax: 32,
  /** Levels of nesting of any JSON body; a world has levels of its own above its properties. */
  jsonDepthMax: 40,
  /** Characters of a chat message. */
  chatTextLengthMax: 4_000,
  /** Chat messages in a state. */
  stateChatMessagesMax: 50,
  /** Seconds that a person's session may last, and does by default. */
  sessionSecondsMax: 86_400,
  sessionSecondsDefault: 3_600,
  /** How far from 1 a rotation's length may be and still be kept as sent; beyond, it is normalised. */
  rotationLengthTolerance: 1e-4,
  /** Bytes of everything but the objects (users, models, media, chat) in one saved world, as JSON. */
  stateAsideBytesMax: 4 * 1024 * 1024,
  /** Bytes of one line of a world as NDJSON. */
  stateLineBytesMax: 1024 * 1024,
  /** Milliseconds for which a space remembers what was removed: a stream of its state may take as long. */
  removalsKeptMs: 3_600_000,
  /** Characters of a world's objects, as JSON, of which a snapshot is kept: a larger world is read from Postgres. */
  snapshotCharactersMax: 16 * 1024 * 1024,
  /** Characters of objects of all the worlds that a process holds from one read to the next: a Worker has 128 MB. */
  viewCharactersMax: 24 * 1024 * 1024,
  /** Seconds: a reader of a state may accept one that is so much older than the newest. */
  stateStaleSecondsMax: 60,
  /** Bytes of one cached value, as JSON. */
  cacheValueBytesMax: 1024 * 1024,
  /** Bytes of one cached world state: as JSON, and as it is kept, compressed and as text. */
  worldStateJsonBytesMax: 32 * 1024 * 1024,
  worldStateKeptBytesMax: 8 * 1024 * 1024,
  /** Seconds that a value is cached at most, and by default. */
  cacheTtlSecondsMax: 30 * 86_400,
  cacheTtlSecondsDefault: 300,
  /** Seconds for which `setUserSession` keeps what it is given, by default. */
  userSessionTtlSecondsDefault: 86_400,
  /** Milliseconds of silence after which a session is no longer present in its space. */
  presenceSilentMsMax: 60_000,
  /** Milliseconds for which a space keeps who was in it when nothing is heard of any of them, and nobody looks. */
  presenceKeptMs: 600_000,
  /** Default limit of one action of a user per minute, and the limit while a process counts alone. */
  actionsPerMinuteDefault: 100,
  actionsPerMinuteAlone: 60,
  /** Default limits of the entries that wait for Postgres: bytes, entries, seconds of the oldest. */
  backlogBytesMax: 64 * 1024 * 1024,
  backlogEntriesMax: 100_000,
  backlogAgeSecondsMax: 900,
  /** Milliseconds of one drain: a Worker has 30 s after its answer. Another drain continues. */
  drainMsMax: 20_000,
  /** Milliseconds for which a key or a session that was good is taken for good while the database does not answer. */
  credentialStaleMsMax: 900_000,
  /** Items a page of a list holds at most, and by default. */
  pageItemsMax: 1_000,
  pageItemsDefault: 100,
  /** Operations of one request, and bytes of its body. */
  opsPerRequestMax: 1_000,
  updatesBodyBytesMax: 1024 * 1024,
  /** Bytes of one entry's operations, as JSON: a larger request becomes several. */
  entryBytesMax: 256 * 1024,
  /** Operations that came to nothing: noted of one batch, kept of a space, and for how long. All are counted. */
  noEffectsNotedMax: 1_000,
  noEffectsKeptMax: 10_000,
  noEffectsKeptSeconds: 600,
  /** Seqs that one condition may name. */
  conditionSeqsMax: 100,
  /** Rows of one batch to Postgres. */
  batchRowsMax: 5_000,
  /** Operations of one batch that are applied one by one because a caller needs the object from before them. */
  batchFollowersMax: 64,
  /** Seconds for which one caller alone may send a dead letter again: longer than it waits for the outcome. */
  replayClaimSeconds: 60,
  /** Milliseconds for which an object is stored as a write left it: longer than any caller waits. */
  writtenObjectsKeptMs: 60_000,
  /** Bytes of entries in one batch: quotes and backslashes are four times as long on their way, of 10 MiB at most. */
  batchBytesMax: 2 * 1024 * 1024,
  /** Bytes and entries of a log that a drain holds of one read. */
  logReadBytesMax: 4 * 1024 * 1024,
  logReadEntriesMax: 5_000,
  /** How much of a committed log stays for live readers: the shortest of these. */
  replayWindowMsMax: 60_000,
  replayWindowEntriesMax: 10_000,
  replayWindowBytesMax: 64 * 1024 * 1024,
  /** Bytes of operations in one answer of `changes`; one entry is answered at least. */
  changesBytesMax: 1024 * 1024,
  /** Open streams over the whole deployment: of a space, of an API key, of a session. */
  streamsPerSpaceMax: 1_000,
  streamsPerKeyMax: 100,
  streamsPerSessionMax: 10,
  /** Heartbeats after which a stream that sends none loses its place: 30 s by default. */
  streamLeaseHeartbeats: 1.5,
  /** Seconds between two heartbeats of a stream, by default and at most. */
  streamHeartbeatSecondsDefault: 20,
  streamHeartbeatSecondsMax: 25,
  /** Milliseconds after which a client comes again to a stream that ended. */
  streamRetryMs: 1_000,
  /** Bytes that wait in a stream for its reader. Above this the stream is closed. Several of the largest requests fit. */
  streamBufferBytesMax: 4 * 1024 * 1024,
  /** Bytes of one read by which a stream catches up with the log. */
  streamReadBytesMax: 512 * 1024,
} as const;
