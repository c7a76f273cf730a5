import { resolve } from 'node:path';
import { countOf } from '../../helpers/counts.ts';
import { Api } from '../api.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError } from '../errors.ts';
import { checkUserId, USER_ARGUMENT } from '../user-argument.ts';
import { writeFileWhole, writeStdout } from '../write-output.ts';

/** How a document that did not break off ends. */
const END = '"complete":true}\n';

export const exportUserCommand = defineCommand({
  name: 'export-user',
  description: 'Write all that is stored of a person as JSON; needs a key with admin',
  args: {
    ...USER_ARGUMENT,
    output: { type: 'string', alias: 'o', valueHint: 'file', description: 'File to write; else stdout' },
    ...JSON_OPTION,
  },
  examples: ['export-user ann -o ann.json'],
  async run({ user, output }, context) {
    checkUserId(user);
    const body = await new Api(resolveConnection(context), context.signal).exportUser(user);
    if (body === null) throw new CommandError('not_found', `there is no person ${user}`, { status: 404 });
    let bytes = 0;
    const copy = async (write: (piece: Uint8Array) => Promise<unknown>) => {
      let end = '';
      try {
        for await (const piece of body) {
          await write(piece);
          bytes += piece.length;
          end = (end + new TextDecoder('latin1').decode(piece.slice(-END.length))).slice(-END.length);
        }
      } catch (cause) {
        throw new CommandError('unexpected_answer', 'the answer broke off', {}, cause);
      }
      if (end !== END) throw new CommandError('unexpected_answer', 'the answer broke off');
    };
    if (output === undefined) {
      await copy((piece) => writeStdout(context, piece));
      context.progress.note(`exported ${user}: ${countOf(bytes, 'byte')}`);
      return null;
    }
    await writeFileWhole(resolve(context.cwd, output), output, (handle) =>
      copy((piece) => handle.write(piece)),
    );
    return {
      document: { user, file: output, bytes },
      text: `exported ${user} to ${output}: ${countOf(bytes, 'byte')}`,
    };
  },
});
