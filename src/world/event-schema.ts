import * as z from 'zod';
import { AppError, type FieldError } from './errors.ts';
import { type EventAuthor, OWN_EVENT_TYPES, type WorldEvent } from './event.ts';
import { LIMITS } from './limits.ts';
import { check, idSchema, jsonObjectSchema, timeSchema } from './schemas.ts';

export const eventDataSchema = jsonObjectSchema((bytes, context) => {
  if (bytes > LIMITS.eventDataBytesMax)
    context.addIssue({
      code: 'custom',
      message: `must use at most ${LIMITS.eventDataBytesMax} bytes in the database, not ${bytes}`,
    });
});

export const eventSchema = z.strictObject({
  id: idSchema.optional(),
  type: z
    .string()
    .regex(
      new RegExp(`^[a-z0-9._-]{1,${LIMITS.eventTypeLengthMax}}$`),
      `must be 1 to ${LIMITS.eventTypeLengthMax} characters from a-z 0-9 . _ -`,
    ),
  spaceId: idSchema.nullable().optional(),
  userId: idSchema.nullable().optional(),
  at: timeSchema.optional(),
  data: eventDataSchema.optional(),
});

export const eventsSchema = z.strictObject({
  events: z
    .array(eventSchema)
    .min(1, 'must have at least 1 event')
    .max(LIMITS.eventsPerRequestMax, `must have at most ${LIMITS.eventsPerRequestMax} events`),
});

/**
 * Reads the body of a request with events.
 * @param author null: an API key, which may name anything.
 * @throws validation_failed for an invalid event, and forbidden for an event in the name of another person or space
 */
export function checkEvents(
  value: unknown,
  { nowMs, author = null }: { nowMs: number; author?: EventAuthor | null },
): WorldEvent[] {
  const { events } = check(eventsSchema, value);
  const errors: FieldError[] = [];
  for (const [i, { type, at }] of events.entries()) {
    const isOld = at !== undefined && Date.parse(at) < nowMs - LIMITS.eventAgeDaysMax * 86_400_000;
    const isAhead = at !== undefined && Date.parse(at) > nowMs + LIMITS.eventAheadSecondsMax * 1_000;
    if (isOld || isAhead)
      errors.push({
        path: `/events/${i}/at`,
        message: `must be at most ${LIMITS.eventAgeDaysMax} days ago and ${LIMITS.eventAheadSecondsMax} seconds ahead`,
      });
    if (author !== null && OWN_EVENT_TYPES.some((own) => own === type))
      errors.push({ path: `/events/${i}/type`, message: 'must not be a type that only the server writes' });
  }
  if (errors.length > 0) throw new AppError('validation_failed', 'The input is not valid.', { errors });
  if (author === null) return events;
  for (const [i, event] of events.entries())
    for (const name of ['spaceId', 'userId'] as const)
      if (event[name] !== undefined && event[name] !== author[name])
        throw new AppError('forbidden', 'A session writes events only of its own person and space.', {
          errors: [{ path: `/events/${i}/${name}`, message: 'must be that of the session, or absent' }],
        });
  return events.map((event) => ({ ...event, ...author }));
}
