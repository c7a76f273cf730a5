import { ID_RULE, idSchema } from '../../world/schemas.ts';
import { Api } from '../api.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError, UsageError } from '../errors.ts';

export const keysRevokeCommand = defineCommand({
  name: 'keys revoke',
  description: 'Revoke an API key; needs a key with admin',
  args: {
    id: { type: 'positional', required: true, description: 'Id of the key, as keys list shows it' },
    ...JSON_OPTION,
  },
  examples: ['keys revoke key_0123456789abcdef'],
  async run({ id }, context) {
    if (!idSchema.safeParse(id).success)
      throw new UsageError(`ID ${ID_RULE}, not ${JSON.stringify(id.slice(0, 60))}`);
    const revoked = await new Api(resolveConnection(context), context.signal).revokeKey(id);
    if (!revoked) throw new CommandError('not_found', `there is no key ${id}`, { status: 404 });
    return { document: { id, revoked }, text: `key ${id} is revoked` };
  },
});
