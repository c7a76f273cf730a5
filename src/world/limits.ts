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
  /** Characters (Unicode code points) of a chat message. */
  chatTextLengthMax: 4_000,
  /** Messages of one person in a space per minute. */
  chatMessagesPerMinute: 30,
  /** Messages that a view keeps: half of them are spare, and replace deleted ones. */
  chatKeptMax: 100,
  /** Chat messages in a state. */
  stateChatMessagesMax: 50,
  /** Seconds that a person's session may last, and its default. */
  sessionSecondsMax: 86_400,
  sessionSecondsDefault: 3_600,
  /** The largest distance of a rotation's length from 1. A rotation beyond it is normalised. */
  rotationLengthTolerance: 1e-4,
  /** Bytes of users, models, media and chat together in one saved world, as JSON. */
  stateAsideBytesMax: 4 * 1024 * 1024,
  /** Bytes of one line of a world as NDJSON. */
  stateLineBytesMax: 1024 * 1024,
  /** Bytes of the parts in which a large file is uploaded; the last part is shorter. Buckets need 5 MiB. */
  assetPartBytes: 8 * 1024 * 1024,
  /** Seconds after which an object of the bucket that nothing names is deleted. */
  assetGraceSeconds: 86_400,
  /** Objects that one batch of a cleanup deletes from the bucket. */
  assetSweepMax: 1_000,
  /** Rows of one batch of a cleanup, and deleted spaces of one list. */
  cleanupRowsMax: 500,
  /** Sessions that one transaction of a cleanup ends. Each also writes an event and a day. */
  cleanupSessionsEndedMax: 100,
  cleanupSpacesMax: 100,
  /** Milliseconds after which a cleanup begins no new batch, and batches of one call: a Worker may send 1,000 requests. */
  cleanupMsMax: 20_000,
  cleanupBatchesMax: 400,
  /**
   * Milliseconds after which nothing of an erased person is under way in another process, if `API_KEY_CACHE_SECONDS` is 5. Until then a
   * session may still be known there, and own events may wait. `worldkeep erase` erases again then.
   */
  erasureSettleMs: 10_000,
  /** Times that an erasure looks for entries that came meanwhile. */
  erasureRoundsMax: 3,
  /** Rows of the audit that one transaction of an erasure looks at. */
  erasedAuditRowsMax: 20_000,
  /** Messages that one transaction of an erasure deletes. */
  erasedMessagesMax: 2_000,
  /** Rows of one page of the export of a person. */
  exportRowsMax: 200,
  /** Days after today for which the tables of events are there. */
  eventDaysAhead: 7,
  /** Entries of the audit in one page, and bytes of their content. */
  auditPageRowsMax: 200,
  auditPageBytesMax: 2 * 1024 * 1024,
  /** Days that these are kept: expired and revoked keys, days of people and spaces, runs of jobs. */
  keysKeptDays: 30,
  analyticsDaysKept: 400,
  jobRunsKeptDays: 90,
  /** Days after which a cleanup removes notes of removed objects: longer than the oldest backlog, which is a week, and a reader's hour. */
  removalsSweptDays: 8,
  /** Audit rows of one transaction that seals, and so of one seal. Measured: about 30 µs a row. */
  auditSealRows: 10_000,
  /** Milliseconds after which a run that seals begins no new transaction. */
  auditSealMsMax: 20_000,
  /** Seconds for which an audit row may wait for an older transaction to end before a run logs a warning. */
  auditUnsealedSecondsMax: 600,
  /** Milliseconds for which `worldkeep audit verify` lets Postgres compare the rows of one day. */
  auditVerifyMsMax: 3_600_000,
  /** First bytes of a media file that are kept to find its type and the size of an image. */
  assetHeadBytesMax: 64 * 1024,
  /** Bytes of the JSON in a glTF file. */
  gltfJsonBytesMax: 16 * 1024 * 1024,
  /** Elements of an accessor of a glTF file that has no data. */
  gltfEmptyElementsMax: 100_000,
  /** Names of extensions in a glTF file, and characters of one. A list of 1,000 models must fit into one answer of Postgres. */
  gltfExtensionsMax: 64,
  gltfExtensionLengthMax: 64,
  /** Milliseconds for which a space remembers removed objects: a stream of its state may take as long. */
  removalsKeptMs: 3_600_000,
  /** Days of one report of analytics, and of a report whose span nobody names. */
  analyticsDaysMax: 400,
  analyticsDaysDefault: 30,
  /** Rows of one report of analytics. */
  analyticsRowsMax: 10_000,
  /** Milliseconds that the refresh of one view may take. */
  refreshMsMax: 600_000,
  /** Characters of a world's objects, as JSON. A larger world has no snapshot, and is read from Postgres. */
  snapshotCharactersMax: 16 * 1024 * 1024,
  /** Characters of all objects that a process keeps between reads: a Worker has 128 MB of memory. */
  viewCharactersMax: 24 * 1024 * 1024,
  /** Seconds by which a reader may accept an older state than the newest. */
  stateStaleSecondsMax: 60,
  /** Bytes of one cached value, as JSON. */
  cacheValueBytesMax: 1024 * 1024,
  /** Bytes of one cached world state: as JSON, and as Redis stores it (compressed, as text). */
  worldStateJsonBytesMax: 32 * 1024 * 1024,
  worldStateKeptBytesMax: 8 * 1024 * 1024,
  /** Seconds for which a value is cached: the maximum and the default. */
  cacheTtlSecondsMax: 30 * 86_400,
  cacheTtlSecondsDefault: 300,
  /** Seconds for which `setUserSession` keeps a value by default. */
  userSessionTtlSecondsDefault: 86_400,
  /** Milliseconds of silence after which a session is no longer present in its space. */
  presenceSilentMsMax: 60_000,
  /** Milliseconds for which a space keeps its presence without any sign of life and without any reader. */
  presenceKeptMs: 600_000,
  /** Default limit of one action of a user per minute, and the limit while a process counts without Redis. */
  actionsPerMinuteDefault: 100,
  actionsPerMinuteAlone: 60,
  /** Default limits of the entries that wait for Postgres: bytes, entries, seconds of the oldest. */
  backlogBytesMax: 64 * 1024 * 1024,
  backlogEntriesMax: 100_000,
  backlogAgeSecondsMax: 900,
  /** Failed calls in a row after which a store counts as away, and milliseconds between two probes of it. */
  storeFailuresMax: 3,
  storeProbeMs: 1_000,
  /** Milliseconds after which a call to a store counts as failed, and a lookup of a credential is given up. */
  storeSlowMs: 4_000,
  /** Transactions of a process that wait for a connection to Postgres. */
  postgresWaitingMax: 2_000,
  /** Milliseconds after the last byte of a request until its answer, unless its route takes long. */
  answerMsMax: 9_000,
  /** Seconds for which Redis remembers the key that the server gives to an append without one. */
  appendKeySeconds: 300,
  /** Seconds by which a key is taken as forgotten early: an append may be on its way for as long. */
  appendKeyMarginSeconds: 30,
  /** Spilled requests, and their bytes, of one step of their return. A process that dies repeats its step, so a step takes under a second. */
  spillPageRequestsMax: 50,
  spillPageBytesMax: 2 * 1024 * 1024,
  /** Milliseconds after an answer in which a Worker tries to return what it spilled. Later, a job does. */
  spillReturnMsMax: 25_000,
  /** Requests in the memory of a server while both stores are away, and the default of their bytes. */
  memoryRequestsMax: 100_000,
  memoryBytesMax: 64 * 1024 * 1024,
  /** Milliseconds of one drain: a Worker has 30 s after its answer. Another drain continues. */
  drainMsMax: 20_000,
  /** Milliseconds for which a valid key or session stays valid while the database does not answer. */
  credentialStaleMsMax: 900_000,
  /** Items of a page of a list: the maximum and the default. */
  pageItemsMax: 1_000,
  pageItemsDefault: 100,
  /** Characters of a search for people, and people that one page of it looks at. */
  searchLengthMax: 128,
  searchedPeopleMax: 10_000,
  /** Operations of one request, and bytes of its body. */
  opsPerRequestMax: 1_000,
  updatesBodyBytesMax: 1024 * 1024,
  /** Bytes of one entry's operations, as JSON. A larger request becomes several entries. */
  entryBytesMax: 256 * 1024,
  /** Operations without effect: recorded per batch, kept per space, and for how long. Counters count all. */
  noEffectsNotedMax: 1_000,
  noEffectsKeptMax: 10_000,
  noEffectsKeptSeconds: 600,
  /** Seqs that one condition may name. */
  conditionSeqsMax: 100,
  /** Rows of one batch to Postgres. */
  batchRowsMax: 5_000,
  /** Operations of one batch that are applied one by one, because a caller needs the object before them. */
  batchFollowersMax: 64,
  /** Seconds for which one caller alone may send a dead letter again: longer than it waits for the outcome. */
  replayClaimSeconds: 60,
  /** Milliseconds for which Postgres keeps the object that a write left: longer than any caller waits. */
  writtenObjectsKeptMs: 60_000,
  /** Bytes of entries in one batch. Escapes can make them four times as long, and a request has at most 10 MiB. */
  batchBytesMax: 2 * 1024 * 1024,
  /** Bytes and entries that a drain reads from a log in one read. */
  logReadBytesMax: 4 * 1024 * 1024,
  logReadEntriesMax: 5_000,
  /** The part of a committed log that stays for live readers: the shortest of these limits. */
  replayWindowMsMax: 60_000,
  replayWindowEntriesMax: 10_000,
  replayWindowBytesMax: 64 * 1024 * 1024,
  /** Bytes of operations in one response of `changes`. A response has at least one entry. */
  changesBytesMax: 1024 * 1024,
  /** Events of one request, and characters of an event's type. */
  eventsPerRequestMax: 1_000,
  eventTypeLengthMax: 64,
  /** Bytes of an event's `data` as Postgres prints the jsonb. */
  eventDataBytesMax: 8_192,
  /** The furthest that an event's `at` may be in the past and in the future. */
  eventAgeDaysMax: 30,
  eventAheadSecondsMax: 300,
  /** Bytes of events that wait for Postgres: of all tenants, and of one. Above them events are dropped. */
  eventsBacklogBytesMax: 32 * 1024 * 1024,
  eventsTenantBacklogBytesMax: 8 * 1024 * 1024,
  /** Redis remembers the ids that callers gave to events: for so many seconds, and the newest of a tenant. */
  eventIdSeconds: 3_600,
  eventIdsKeptMax: 100_000,
  /** Milliseconds that a request waits for Redis to take its events. Later they are dropped. */
  eventsAppendMsMax: 1_000,
  /** Events, and their bytes, of one batch to Postgres. */
  eventsBatchMax: 5_000,
  eventsBatchBytesMax: 2 * 1024 * 1024,
  /** Events of the product itself that a process holds before it appends them. */
  ownEventsHeldMax: 1_000,
  /** Open streams in the whole deployment: per space, per API key, per session. */
  streamsPerSpaceMax: 1_000,
  streamsPerKeyMax: 100,
  streamsPerSessionMax: 10,
  /** Heartbeat periods after which a silent stream loses its place: 30 s by default. */
  streamLeaseHeartbeats: 1.5,
  /** Seconds between two heartbeats of a stream: the default and the maximum. */
  streamHeartbeatSecondsDefault: 20,
  streamHeartbeatSecondsMax: 25,
  /** Milliseconds after which a client opens an ended stream again. */
  streamRetryMs: 1_000,
  /** Bytes that wait in a stream for its reader. Above this the stream is closed. Several of the largest requests fit. */
  streamBufferBytesMax: 4 * 1024 * 1024,
  /** Bytes of one read from the log while a stream catches up. */
  streamReadBytesMax: 512 * 1024,
  /** Milliseconds between two flushes of one process's counts. */
  metricsFlushMs: 10_000,
  /** Series that one process counts between two flushes. */
  metricsSeriesMax: 5_000,
  /** Seconds for which a store remembers that it has added the counts of a flush. */
  metricsTokenSeconds: 600,
  /** Milliseconds for which a scrape's answer is repeated, and for which a scrape waits for a store. */
  metricsCacheMs: 3_000,
  metricsStoreMs: 1_500,
  /** Spaces whose backlogs a scrape adds up: the spaces that wait longest. */
  metricsSpacesMax: 1_000,
  /** Rows of one kind that a scrape counts in Postgres. */
  metricsRowsMax: 10_000,
  /** Milliseconds for which an answer of `/v1/operations` is repeated. */
  figuresCacheMs: 1_000,
  /** Pending spaces of all tenants that it searches, and pending spaces of the tenant that it adds up: the longest waiting ones. */
  figuresSearchedSpacesMax: 10_000,
  figuresPendingSpacesMax: 1_000,
  /** Spaces that it lists, and spaces that Redis remembers as the newest of a tenant, for so many seconds. */
  figuresSpacesMax: 20,
  figuresNewestSeconds: 86_400,
  /** Spilled requests that it counts. */
  figuresSpilledMax: 10_000,
  /** Runs of each job in `/v1/job-runs`, and seconds after which a run without an end counts as failed. */
  jobRunsShownMax: 10,
  jobRunSecondsMax: 3_600,
} as const;
