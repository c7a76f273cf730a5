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
  /** How far from 1 a rotation's length may be and still be kept as sent; beyond, it is normalised. */
  rotationLengthTolerance: 1e-4,
  /** Bytes of everything but the objects (users, models, media, chat) in one saved world, as JSON. */
  stateAsideBytesMax: 4 * 1024 * 1024,
  /** Items a page of a list holds at most, and by default. */
  pageItemsMax: 1_000,
  pageItemsDefault: 100,
} as const;
