import { ID_RULE, idSchema } from '../world/schemas.ts';
import { UsageError } from './errors.ts';

export const USER_ARGUMENT = {
  user: { type: 'positional', required: true, description: 'Id of the person' },
} as const;

/** @throws UsageError */
export function checkUserId(id: string): void {
  if (!idSchema.safeParse(id).success)
    throw new UsageError(`USER ${ID_RULE}, not ${JSON.stringify(id.slice(0, 60))}`);
}
