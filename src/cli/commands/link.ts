import { randomUUID } from 'node:crypto';
import { LIMITS } from '../../world/limits.ts';
import { ID_RULE, idSchema } from '../../world/schemas.ts';
import type { Role } from '../../world/types.ts';
import { Api } from '../api.ts';
import { readCount } from '../arguments.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { UsageError } from '../errors.ts';
import { createSignInLink } from '../sign-in-link.ts';
import { checkSpaceId, SPACE_OPTION } from '../space-option.ts';

const ROLES: Role[] = ['viewer', 'editor', 'owner'];

export const linkCommand = defineCommand({
  name: 'link',
  description: 'Print a link that opens a space in a browser, signed in as a person',
  args: {
    ...SPACE_OPTION,
    user: { type: 'string', valueHint: 'id', description: 'Id of the person; else a new guest' },
    name: { type: 'string', valueHint: 'name', description: 'Display name that the person gets' },
    role: { type: 'enum', options: ROLES, default: 'editor', description: 'Role of the person in the space' },
    ttl: {
      type: 'string',
      valueHint: 'seconds',
      default: String(LIMITS.sessionSecondsDefault),
      description: `Seconds until the link expires: 1 to ${LIMITS.sessionSecondsMax.toLocaleString('en-US')}`,
    },
    ...JSON_OPTION,
  },
  examples: ['link --space plaza', 'link --space plaza --user ann --name Ann --role owner --ttl 600'],
  async run({ space, user, name, role, ttl }, context) {
    checkSpaceId(space);
    if (user !== undefined && !idSchema.safeParse(user).success)
      throw new UsageError(`--user ${ID_RULE}, not ${JSON.stringify(user.slice(0, 60))}`);
    const ttlSeconds = readCount('ttl', ttl, LIMITS.sessionSecondsMax);
    const connection = resolveConnection(context);
    const userId = user ?? `guest-${randomUUID().slice(0, 6)}`;
    const document = await createSignInLink(new Api(connection, context.signal), {
      url: connection.url,
      space,
      userId,
      name,
      nameIfNew: user ?? 'Guest',
      role: role as Role,
      ttlSeconds,
    });
    context.progress.note(
      `${userId} may open space ${space} as ${role} until ${document.expiresAt}, with this link alone:`,
    );
    return { document, text: document.link };
  },
});
