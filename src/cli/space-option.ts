import type { ArgsDef } from 'citty';
import { ID_RULE, idSchema } from '../world/schemas.ts';
import { UsageError } from './errors.ts';

export const SPACE_OPTION = {
  space: { type: 'string', required: true, valueHint: 'id', description: 'Id of the space' },
} as const satisfies ArgsDef;

export function checkSpaceId(space: string): void {
  if (!idSchema.safeParse(space).success)
    throw new UsageError(`--space ${ID_RULE}, not ${JSON.stringify(space.slice(0, 60))}`);
}

/** Of commands that take one space, or all. */
export const ONE_OR_ALL_OPTIONS = {
  space: { ...SPACE_OPTION.space, required: false, description: 'Id of one space; else all of all tenants' },
  tenant: { type: 'string', valueHint: 'id', description: 'Whose space; else DEFAULT_TENANT_ID' },
} as const;

/** @throws UsageError */
export function checkOneOrAll({
  space,
  tenant,
}: {
  space?: string | undefined;
  tenant?: string | undefined;
}): void {
  if (space !== undefined) checkSpaceId(space);
  if (tenant !== undefined && space === undefined) throw new UsageError('--tenant is for --space alone');
  if (tenant !== undefined && !idSchema.safeParse(tenant).success)
    throw new UsageError(`--tenant ${ID_RULE}`);
}
