import { resolve } from 'node:path';
import * as z from 'zod';
import { countOf, showCount } from '../../helpers/counts.ts';
import type { WorldState } from '../../world/types.ts';
import { Api } from '../api.ts';
import { type Context, defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError, UsageError } from '../errors.ts';
import { writeGlb } from '../formats/glb.ts';
import type { Model } from '../formats/model-parts.ts';
import { checkSpaceId, SPACE_OPTION } from '../space-option.ts';
import { writeFileWhole, writeStdout } from '../write-output.ts';

const SHOWN_MAX = 10;

const stateSchema = z.object({
  seq: z.number(),
  objects: z.array(z.object({ id: z.string() })),
  spilled: z.number().optional(),
});

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
    'with-models': {
      type: 'boolean',
      default: false,
      description:
        'Of gltf: the shapes of the models too. The file is binary glTF, or JSON if its name ends in .gltf',
    },
    output: { type: 'string', alias: 'o', valueHint: 'file', description: 'File to write; else stdout' },
    ...JSON_OPTION,
  },
  examples: [
    'export --space plaza -o plaza.json',
    'export --space plaza --format gltf -o plaza.gltf',
    'export --space plaza --format gltf --with-models -o plaza.glb',
  ],
  async run({ space, output, format, 'with-models': withModels }, context) {
    checkSpaceId(space);
    if (withModels && format !== 'gltf') throw new UsageError('--with-models needs --format gltf.');
    const isText = !withModels || output?.toLowerCase().endsWith('.gltf') === true;
    const api = new Api(resolveConnection(context), context.signal);
    const task = context.progress.startBytes('received', null);
    const received = await api.getState(space, (bytes) => task.update(bytes));
    if (received === null) throw new CommandError('not_found', `there is no space ${space}`, { status: 404 });
    const state = readState(received);
    const bytes =
      format === 'gltf'
        ? await toGltf(received, { api: withModels ? api : null, isText }, context)
        : received;
    if (output === undefined) {
      await writeStdout(context, bytes);
      context.progress.note(`exported space ${space}: ${countOf(state.objects, 'object')}, seq ${state.seq}`);
      return null;
    }
    await writeFileWhole(resolve(context.cwd, output), output, (handle) => handle.writeFile(bytes));
    return {
      document: { space, format, file: output, bytes: bytes.length, ...state },
      text: `exported space ${space} to ${output}: ${countOf(state.objects, 'object')}, seq ${state.seq}`,
    };
  },
});

/** The bytes are written as they came; they are read only to know that they are a whole state. */
function readState(bytes: Uint8Array): { objects: number; seq: number } {
  let state: z.infer<typeof stateSchema>;
  try {
    state = stateSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new CommandError(
      'unexpected_answer',
      'the server answered with something that is no world',
      {},
      cause,
    );
  }
  if (state.spilled !== undefined)
    throw new CommandError(
      'state_unsettled',
      'the server cannot reach its Redis, so the file would lack the newest writes: export again when Redis is back',
    );
  return { objects: state.objects.length, seq: state.seq };
}

/**
 * Objects that could not keep their place among the nodes are named on stderr, and so is what the file lacks of the models.
 * @param to an API for the shapes of the models, and whether the file is JSON
 */
async function toGltf(
  received: Uint8Array,
  to: { api: Api | null; isText: boolean },
  { progress }: Context,
): Promise<Uint8Array> {
  // Loaded here: no other form needs the library.
  const { writeGltf } = await import('../formats/write-gltf.ts');
  const state = JSON.parse(new TextDecoder().decode(received)) as WorldState;
  const models = to.api === null ? new Map() : await loadModels(to.api, state, progress);
  const { json, binary, detached, leftOut } = writeGltf(state, models);
  if (detached.length > 0)
    progress.note(
      `placed ${countOf(detached.length, 'object')} at the root, because the parent is not in the space or is below the object (extras have the parentId): ${detached.slice(0, SHOWN_MAX).join(', ')}${detached.length > SHOWN_MAX ? ', …' : ''}`,
    );
  for (const { kind, count } of leftOut) progress.note(`not written: ${kind} (${showCount(count)})`);
  if (!to.isText) return writeGlb(json, binary);
  const [buffer] = json.buffers ?? [];
  if (buffer !== undefined && binary.length > 0)
    buffer.uri = `data:application/octet-stream;base64,${Buffer.concat(binary).toString('base64')}`;
  return new TextEncoder().encode(`${JSON.stringify(json)}\n`);
}

/** Downloads each model that an object references, once. Models without bytes in the library are named on stderr. */
async function loadModels(
  api: Api,
  { objects }: WorldState,
  progress: Context['progress'],
): Promise<Map<string, Model>> {
  const { readModel } = await import('../formats/read-model.ts');
  const ids = [...new Set(objects.flatMap(({ modelId }) => modelId ?? []))];
  const models = new Map<string, Model>();
  const missing: string[] = [];
  for (const [index, id] of ids.entries()) {
    const bytes = await api.getModelFile(id);
    if (bytes === null) missing.push(id);
    else models.set(id, await readModel(bytes, `model ${id}`));
    if (bytes !== null)
      progress.note(`received model ${index + 1} of ${ids.length}: ${countOf(bytes.length, 'byte')}`);
  }
  if (missing.length > 0)
    progress.note(
      `the library lacks ${countOf(missing.length, 'model')}, so objects that reference it have no shape: ${missing.slice(0, SHOWN_MAX).join(', ')}${missing.length > SHOWN_MAX ? ', …' : ''}`,
    );
  return models;
}
