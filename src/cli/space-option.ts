import type { ArgsDef } from 'citty';
import { LIMITS } from '../world/limits.ts';
import { idSchema } from '../world/schemas.ts';
import { UsageError } from './errors.ts';

export const SPACE_OPTION = {
  space: { type: 'string', required: true, valueHint: 'id', description: 'Id of the space' },
} as const satisfies ArgsDef;

export function checkSpaceId(space: string): void {
  if (!idSchema.safeParse(space).success)
    throw new UsageError(
      `--space must be 1 to ${LIMITS.idLengthMax} characters of A-Z a-z 0-9 . _ : -, not ${JSON.stringify(space.slice(0, 60))}`,
    );
}
