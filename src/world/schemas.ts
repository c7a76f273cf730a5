import * as z from 'zod';
import { AppError, type FieldError } from './errors.ts';
import { countPrintedBytes, findUnkeepable, measureDepth } from './json-size.ts';
import { LIMITS } from './limits.ts';
import { keepRotation } from './quaternion.ts';
import type { ChatRule, JsonObject, ObjectInput, ObjectPatch, SpaceInput, UserInput } from './types.ts';

/** The values of `settings.chat`. Spaces without it have the first. */
export const CHAT_RULES = ['viewer', 'editor', 'owner', 'off'] as const satisfies readonly ChatRule[];

/** As the SQL function chat_rule. */
export function readChatRule({ chat }: JsonObject): ChatRule {
  return CHAT_RULES.find((rule) => rule === chat) ?? 'viewer';
}

/** The last millisecond that RFC 3339 can write with four digits for the year. */
const LAST_MOMENT = Date.UTC(10_000, 0, 1) - 1;

/** Refuses ids of only dots: `.` and `..` vanish from the path of a URL, so no request could reach them. */
export const ID_PATTERN = /^(?!\.+$)[A-Za-z0-9._:-]{1,128}$/;
export const ID_RULE = `must be 1 to ${LIMITS.idLengthMax} characters from A-Z a-z 0-9 . _ : - that are not all dots`;

export const idSchema = z.string().regex(ID_PATTERN, ID_RULE);
const nullableId = idSchema.nullable();
/** A finite number, with −0 as 0. */
const number = z.number().transform((value) => value + 0);
export const nameSchema = text(LIMITS.nameLengthMax);
/** A part of a person's id or display name. */
export const userSearchSchema = text(LIMITS.searchLengthMax);
/** An absolute or relative URL. It refuses a URL that a page would execute. */
export const urlSchema = text(LIMITS.urlLengthMax).refine(
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these control characters are refused
  (value) => !/[\u0000-\u0020\u007f]/.test(value) && !/^(javascript|vbscript):/i.test(value),
  'must be a URL without spaces; script URLs such as javascript: are not allowed',
);
export const vectorSchema = z.strictObject({ x: number, y: number, z: number });
const quaternion = z.strictObject({ x: number, y: number, z: number, w: number });

/** Text that Postgres accepts: no NUL, no lone surrogate, at most `lengthMax` characters. */
export function text(lengthMax: number) {
  return z
    .string()
    .max(lengthMax, `must be at most ${lengthMax} characters`)
    .refine(
      (value) => value.isWellFormed() && !value.includes('\0'),
      'must not contain a NUL character or a broken Unicode character (lone surrogate)',
    );
}

/** Text of a chat message. A character is a Unicode code point, as Postgres counts. */
export const chatTextSchema = z
  .string()
  .refine(
    (value) => value.isWellFormed() && !value.includes('\0'),
    'must not contain a NUL character or a broken Unicode character (lone surrogate)',
  )
  .superRefine((value, context) => {
    const length = value.length > LIMITS.chatTextLengthMax ? [...value].length : value.length;
    if (length > LIMITS.chatTextLengthMax)
      context.addIssue({
        code: 'custom',
        message: `must have at most ${LIMITS.chatTextLengthMax} characters, not ${length}`,
      });
  });

export const chatKindSchema = text(LIMITS.idLengthMax).min(1, 'must not be empty');

// biome-ignore lint/suspicious/noControlCharactersInRegex: these control characters are refused
const CONTROL = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202d\u202e]/;

/** Text of a new message. Saved worlds may bring older messages with any characters. */
export const postedTextSchema = chatTextSchema.superRefine((value, context) => {
  if (value.trim() === '') context.addIssue({ code: 'custom', message: 'must not be empty' });
  const control = CONTROL.exec(value)?.[0];
  if (control === undefined) return;
  const code = control.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  context.addIssue({
    code: 'custom',
    message: `must not contain U+${code}: control characters and text-direction overrides are not allowed`,
  });
});

export const rotationSchema = quaternion.transform((rotation, context) => {
  const kept = keepRotation(rotation);
  if (kept !== null) return kept;
  context.addIssue({ code: 'custom', message: 'must not contain only zeros (0, 0, 0, 0)' });
  return z.NEVER;
});

/** A moment in RFC 3339, from 1970 to 9999 in UTC: the range of a world's times. */
export const timeSchema = z.iso
  .datetime({ offset: true, message: 'must be a time in RFC 3339 format, such as 2030-01-31T00:00:00Z' })
  .refine(
    (value) => Date.parse(value) >= 0 && Date.parse(value) <= LAST_MOMENT,
    'must be a time from 1970 to 9999 in UTC',
  );

/** A JSON object that Postgres can store. @param checkSize is given the bytes that Postgres prints */
export function jsonObjectSchema(checkSize: (bytes: number, context: z.RefinementCtx<JsonObject>) => void) {
  return z.custom<JsonObject>().superRefine((value, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', message });
    // Ends here, because a later rule may read a member of the object.
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return context.addIssue({ code: 'custom', message: 'must be an object', continue: false });
    if (measureDepth(value, LIMITS.propertiesDepthMax) > LIMITS.propertiesDepthMax)
      return issue(`must have at most ${LIMITS.propertiesDepthMax} levels of nested objects or lists`);
    const unkeepable = findUnkeepable(value);
    if (unkeepable !== null) return issue(unkeepable);
    // Counts only up to here: far above the limit, the exact size does not help a caller.
    checkSize(countPrintedBytes(value, 16 * LIMITS.propertiesBytesMax), context);
  });
}

/** A JSON object within the limits of size and depth, as Postgres will print it. */
export const propertiesSchema = jsonObjectSchema((bytes, context) => {
  if (bytes > LIMITS.propertiesBytesMax)
    context.addIssue({
      code: 'custom',
      message: `must use at most ${LIMITS.propertiesBytesMax} bytes in the database, not ${bytes}`,
      params: { code: 'properties_too_large' },
    });
});

const NO_TURN = { x: 0, y: 0, z: 0, w: 1 };

/** Members that only the server writes. Accepted and ignored, so that a client can send back an object that it read. */
const objectServerFields = {
  spaceId: z.unknown().optional(),
  seq: z.unknown().optional(),
  createdBy: z.unknown().optional(),
  updatedBy: z.unknown().optional(),
  createdAt: z.unknown().optional(),
  updatedAt: z.unknown().optional(),
};

export const objectFields = {
  id: idSchema,
  name: nameSchema.nullable().default(null),
  modelId: nullableId.default(null),
  parentId: nullableId.default(null),
  position: vectorSchema.default({ x: 0, y: 0, z: 0 }),
  rotation: rotationSchema.default(NO_TURN),
  scale: vectorSchema.default({ x: 1, y: 1, z: 1 }),
  properties: propertiesSchema.default({}),
};

export const objectSchema = z.strictObject({ ...objectFields, ...objectServerFields });

export const objectPatchSchema = z.strictObject({
  name: nameSchema.nullable().optional(),
  modelId: nullableId.optional(),
  parentId: nullableId.optional(),
  position: vectorSchema.partial().optional(),
  // Always whole: a part of a rotation has no meaning without the rest.
  rotation: rotationSchema.optional(),
  scale: vectorSchema.partial().optional(),
  properties: propertiesSchema.optional(),
  id: z.unknown().optional(),
  ...objectServerFields,
});

/** A message as a caller posts it. */
export const messageSchema = z.strictObject({
  id: idSchema.optional(),
  userId: nullableId.optional(),
  text: postedTextSchema,
  kind: chatKindSchema.optional(),
});

const boundsSchema = z
  .strictObject({ min: vectorSchema, max: vectorSchema })
  .refine(
    ({ min, max }) => min.x <= max.x && min.y <= max.y && min.z <= max.z,
    'must have a min that is not greater than max on any axis',
  );

export const spaceSchema = z.strictObject({
  name: nameSchema.min(1, 'must not be empty'),
  description: text(LIMITS.descriptionLengthMax).nullable().default(null),
  settings: propertiesSchema
    .refine(({ chat }) => chat === undefined || CHAT_RULES.some((rule) => rule === chat), {
      path: ['chat'],
      message: 'must be "viewer", "editor", "owner" or "off"',
    })
    .default({}),
  bounds: boundsSchema.nullable().default(null),
  id: z.unknown().optional(),
  seq: z.unknown().optional(),
  createdAt: z.unknown().optional(),
  updatedAt: z.unknown().optional(),
});

/** A person's id. The audit names a person, a key or an erased person by its id, so no person has an id of the others. */
export const userIdSchema = idSchema.refine(
  (id) => !/^key_[0-9a-f]{16}$|^erased:/.test(id),
  'must not be key_ and 16 hexadecimal digits, as of an API key, and must not begin with erased:',
);

export const userSchema = z.strictObject({
  id: userIdSchema,
  displayName: nameSchema.min(1, 'must not be empty'),
  avatarUrl: urlSchema.nullable().default(null),
  properties: propertiesSchema.default({}),
  createdAt: z.unknown().optional(),
  lastSeenAt: z.unknown().optional(),
});

export const pageLimitSchema = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,9}$/, 'must be a whole number')
      .transform(Number),
  ])
  .pipe(
    z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(LIMITS.pageItemsMax, `must be at most ${LIMITS.pageItemsMax}`),
  );

/** @returns the value as the schema outputs it. @throws AppError with a path and a sentence for each error. */
export function check<T>(schema: z.ZodType<T>, value: unknown, at = ''): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw toAppError(result.error.issues, at);
}

const ISSUES_SHOWN_MAX = 20;
/** Characters of an unknown member's name that an error repeats. */
const KEY_SHOWN_LENGTH_MAX = 128;

function toAppError(issues: readonly z.core.$ZodIssue[], at: string): AppError {
  const errors: FieldError[] = issues.slice(0, ISSUES_SHOWN_MAX).map((issue) => ({
    path: at + toPointer(issue.path),
    // The path also names the unknown member, so that a client can point at it.
    ...(issue.code === 'unrecognized_keys'
      ? {
          path: at + toPointer([...issue.path, (issue.keys[0] ?? '').slice(0, KEY_SHOWN_LENGTH_MAX)]),
          message: 'is not a known field',
        }
      : { message: issue.message }),
  }));
  const tooLarge = issues.every(
    (issue) => issue.code === 'custom' && issue.params?.code === 'properties_too_large',
  );
  return new AppError(
    tooLarge ? 'properties_too_large' : 'validation_failed',
    tooLarge ? 'The properties exceed the size limit for an object.' : 'The input is not valid.',
    { errors },
  );
}

/** A JSON Pointer (RFC 6901). */
export function toPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function checkId(id: unknown, at: string): string {
  return check(idSchema, id, at);
}

export function checkPageLimit(limit: number | string | undefined): number {
  return limit === undefined ? LIMITS.pageItemsDefault : check(pageLimitSchema, limit, '/limit');
}

export function checkObject(value: unknown): ObjectInput {
  return check(objectSchema, value);
}

export function checkObjectPatch(value: unknown): ObjectPatch {
  const { id, spaceId, seq, createdBy, updatedBy, createdAt, updatedAt, ...patch } = check(
    objectPatchSchema,
    value,
  );
  return patch as ObjectPatch;
}

export function checkSpace(value: unknown): SpaceInput {
  const { name, description, settings, bounds } = check(spaceSchema, value);
  return { name, description, settings, bounds };
}

export function checkUser(value: unknown): UserInput {
  const { id, displayName, avatarUrl, properties } = check(userSchema, value);
  return { id, displayName, avatarUrl, properties };
}
