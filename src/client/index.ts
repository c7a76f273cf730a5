import { createIndexedDbStore } from './indexed-db-store.ts';
import { type ConnectOptions, World } from './world.ts';

/**
 * Connects to a space. The world is empty until `await world.ready`; changes may be made before.
 * @throws WorldkeepError `invalid_url`
 */
export function connect(options: ConnectOptions): World {
  return new World(options, createIndexedDbStore);
}

export type { Operation, OperationStatus } from '../world/operation.ts';
export type { JsonObject, Quaternion, Seq, Vector3 } from '../world/types.ts';
export type { Chat, ChatEvents } from './chat.ts';
export { createKey as createId } from './create-key.ts';
export { type FieldError, WorldkeepError } from './errors.ts';
export type { LiveMap, LiveMapEvents } from './live-map.ts';
export type { OutboxRecord, OutboxRequest, OutboxStore } from './outbox-store.ts';
export type { Presence } from './presence.ts';
export type { TokenSource } from './requests.ts';
export type { Durability, Sent } from './sent.ts';
export type * from './types.ts';
export type { ConnectOptions, World, WorldEvents, WorldStatus } from './world.ts';
