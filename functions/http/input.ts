import { AppError } from '../../src/world/errors.ts';
import type { JsonObject, JsonValue } from '../../src/world/types.ts';
import type { AppContext } from './context.ts';

/** A parameter of the route's path, decoded. Whether it is an id is checked where it is used. */
export function readParam(c: AppContext, name: 'space' | 'id'): string {
  return c.req.param(name) ?? '';
}

export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Refuses a body whose member, if it is given, says otherwise than the path. */
export function refuseOther(body: JsonValue, member: 'id' | 'spaceId', path: string): void {
  if (!isJsonObject(body) || body[member] === undefined || body[member] === path) return;
  throw new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: `/${member}`, message: 'must be the same as in the path, if the body contains it' }],
  });
}
