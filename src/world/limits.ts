/** What a world may hold. Every limit has a name and a unit; inputs above one are refused with the limit and the actual size. */
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
  /** Levels of nesting of any JSON body; a world's own levels stand above its properties. */
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
  /** Bytes of one cached value, as JSON. */
  cacheValueBytesMax: 1024 * 1024,
  /** Seconds that a value is cached at most, and by default. */
  cacheTtlSecondsMax: 30 * 86_400,
  cacheTtlSecondsDefault: 300,
  /** Seconds for which `setUserSession` keeps what it is given, by default. */
  userSessionTtlSecondsDefault: 86_400,
  /** What a user may do of one action in a minute by default, and at most where a process counts alone. */
  actionsPerMinuteDefault: 100,
  actionsPerMinuteAlone: 60,
  /** Items a page of a list holds at most, and by default. */
  pageItemsMax: 1_000,
  pageItemsDefault: 100,
} as const;
