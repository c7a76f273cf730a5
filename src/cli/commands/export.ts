import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { pid } from 'node:process';
import * as z from 'zod';
import type { WorldState } from '../../world/types.ts';
import { Api } from '../api.ts';
import { type Context, defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError, systemCode } from '../errors.ts';
import { showCount } from '../progress.ts';
import { checkSpaceId, SPACE_OPTION } from '../space-option.ts';

const DETACHED_SHOWN_MAX = 10;

const stateSchema = z.object({ seq: z.number(), objects: z.array(z.object({ id: z.string() })) });

export const exportCommand = defineCommand({
  name: 'export',
  description: 'Write the world of a space as JSON or glTF; import puts it back bit for bit',
  args: {
    ...SPACE_OPTION,
    format: {
      type: 'enum',
      options: ['json', 'gltf'],
      default: 'json',
      description: 'json: all of it. gltf: the objects as nodes, for other programs',
    },
    output: { type: 'string', alias: 'o', valueHint: 'file', description: 'File to write; else stdout' },
    ...JSON_OPTION,
  },
  examples: ['export --space plaza -o plaza.json', 'export --space plaza --format gltf -o plaza.gltf'],
  async run({ space, output, format }, context) {
    checkSpaceId(space);
    const api = new Api(resolveConnection(context), context.signal);
    const task = context.progress.startBytes('received', null);
    const received = await api.getState(space, (bytes) => task.update(bytes));
    if (received === null) throw new CommandError('not_found', `there is no space ${space}`, { status: 404 });
    const state = readState(received);
    const bytes = format === 'gltf' ? await toGltf(received, context) : received;
    if (output === undefined) {
      await writeStdout(context, bytes);
      context.progress.note(`exported space ${space}: ${showCount(state.objects)} objects, seq ${state.seq}`);
      return null;
    }
    await writeFileWhole(resolve(context.cwd, output), output, bytes);
    return {
      document: { space, format, file: output, bytes: bytes.length, ...state },
      text: `exported space ${space} to ${output}: ${showCount(state.objects)} objects, seq ${state.seq}`,
    };
  },
});

/** The bytes are written as they came; they are read only to know that they are a whole state. */
function readState(bytes: Uint8Array): { objects: number; seq: number } {
  try {
    const { objects, seq } = stateSchema.parse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
    );
    return { objects: objects.length, seq };
  } catch (cause) {
    throw new CommandError(
      'unexpected_answer',
      'the server answered with something that is no world',
      {},
      cause,
    );
  }
}

/** Objects that could not keep their place among the nodes are named on stderr. */
async function toGltf(state: Uint8Array, { progress }: Context): Promise<Uint8Array> {
  // Loaded here: no other form needs the library.
  const { writeGltf } = await import('../formats/write-gltf.ts');
  const { json, detached } = await writeGltf(JSON.parse(new TextDecoder().decode(state)) as WorldState);
  if (detached.length > 0)
    progress.note(
      `${showCount(detached.length)} objects are roots, for their parent is not in the space or is below them (their parentId is in their extras): ${detached.slice(0, DETACHED_SHOWN_MAX).join(', ')}${detached.length > DETACHED_SHOWN_MAX ? ', …' : ''}`,
    );
  return new TextEncoder().encode(`${JSON.stringify(json)}\n`);
}

/** A temporary file gets the final name when it is complete on disk: there is never half of a file. */
async function writeFileWhole(path: string, shown: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${pid}.part`);
  try {
    if ((await stat(path).catch(() => null))?.isDirectory())
      throw new CommandError('cannot_write', `${shown} is a folder, not a file`);
    {
      await using handle = await open(temporary, 'wx');
      await handle.writeFile(bytes);
      await handle.sync();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (error instanceof CommandError) throw error;
    const code = systemCode(error);
    const reason = code === 'ENOENT' ? 'its folder does not exist' : (code ?? String(error));
    throw new CommandError('cannot_write', `${shown} cannot be written: ${reason}`, {}, error);
  }
}

function writeStdout({ stdout }: Context, bytes: Uint8Array): Promise<void> {
  return new Promise((done, fail) => {
    stdout.write(bytes, (error) => (error ? fail(error) : done()));
  });
}
