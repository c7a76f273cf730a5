import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WorldState } from '../../world/types.ts';
import { SceneError } from '../formats/scene.ts';
import { writeGltf } from '../formats/write-gltf.ts';
import { gltfDocuments, worldDocuments } from './gltf-arbitrary.ts';
import { byId, contentOf, readDocument, stateOf } from './round-trip.ts';

type Node = { children?: number[]; extras?: object; [member: string]: unknown };
type Document = { nodes?: Node[]; scenes?: { nodes?: number[] }[]; [member: string]: unknown };

/** The state after an import, or null where the file is refused. */
async function importNew(document: unknown): Promise<WorldState | null> {
  try {
    return stateOf(await readDocument(document));
  } catch (error) {
    if (error instanceof SceneError) return null;
    throw error;
  }
}

/** The output of `export --format gltf`, as another program reads it. */
function exportGltf(state: WorldState): Document {
  return JSON.parse(JSON.stringify(writeGltf(state).json));
}

/** The document with every index of a node changed; `to` gives null for a node that is gone. */
function renumber(document: Document, nodes: Node[], to: (index: number) => number | null): Document {
  const map = (list: number[] = []) => {
    const kept = list.map(to).filter((index) => index !== null);
    return kept.length > 0 ? kept : undefined;
  };
  return JSON.parse(
    JSON.stringify({
      ...document,
      nodes: nodes.length > 0 ? nodes.map((node) => ({ ...node, children: map(node.children) })) : undefined,
      scenes: document.scenes?.map((scene) => ({ ...scene, nodes: map(scene.nodes) })),
    }),
  );
}

function insertNode(document: Document, at: number, node: Node): Document {
  const nodes = document.nodes ?? [];
  const result = renumber(document, nodes, (index) => (index >= at ? index + 1 : index));
  const [scene = {}] = result.scenes ?? [];
  scene.nodes = [...(scene.nodes ?? []), at];
  return { ...result, nodes: (result.nodes ?? []).toSpliced(at, 0, node) };
}

function removeNode(document: Document, at: number): Document {
  const nodes = (document.nodes ?? []).toSpliced(at, 1);
  return renumber(document, nodes, (index) => (index === at ? null : index > at ? index - 1 : index));
}

/** The objects of a space after a merge: what the file has is put, the rest stays. */
async function mergeInto(state: WorldState, document: unknown): Promise<Record<string, object>> {
  const scene = await readDocument(document, 'town', 'f00d');
  return { ...byId(state.objects), ...byId(stateOf(scene).objects) };
}

const accepted = async (document: unknown): Promise<WorldState> => {
  const state = await importNew(document);
  fc.pre(state !== null);
  return state;
};

/** @param numRuns files of each property */
export function describeRoundTrips(numRuns: number): void {
  const runs = { numRuns };
  describe('import, export and import again', { timeout: 300_000 }, () => {
    it('is the same world for every glTF file that is accepted', async () => {
      await fc.assert(
        fc.asyncProperty(gltfDocuments, async (document) => {
          const state = await accepted(document);
          const exported = exportGltf(state);
          const again = await importNew(exported);
          expect(again && contentOf(again)).toEqual(contentOf(state));
          // And from there on the file is the same too.
          expect(again && exportGltf(again)).toEqual(exported);
          const asJson = await importNew(state);
          expect(asJson && contentOf(asJson)).toEqual(contentOf(state));
        }),
        runs,
      );
    });

    it('is the same world whatever its objects and settings hold', async () => {
      await fc.assert(
        fc.asyncProperty(worldDocuments, async (document) => {
          const state = await accepted(document);
          const again = await importNew(exportGltf(state));
          expect(again && contentOf(again)).toEqual(contentOf(state));
        }),
        runs,
      );
    });

    it('changes exactly the node that another program added, in both modes', async () => {
      await fc.assert(
        fc.asyncProperty(gltfDocuments, fc.nat(), async (document, place) => {
          const state = await accepted(document);
          const before = byId(state.objects);
          const at = place % (state.objects.length + 1);
          const edited = insertNode(exportGltf(state), at, { name: 'arch', translation: [9, 0, 0] });
          for (const after of [byId((await accepted(edited)).objects), await mergeInto(state, edited)]) {
            const added = Object.keys(after).filter((id) => !Object.hasOwn(before, id));
            expect(added).toHaveLength(1);
            const { [added[0] ?? '']: arch, ...others } = after;
            expect(arch).toMatchObject({ name: 'arch', position: { x: 9, y: 0, z: 0 } });
            expect(others).toEqual(before);
          }
        }),
        runs,
      );
    });

    it('changes exactly the node that another program removed', async () => {
      await fc.assert(
        fc.asyncProperty(gltfDocuments, fc.nat(), async (document, place) => {
          const state = await accepted(document);
          const exported = exportGltf(state);
          const leaves = (exported.nodes ?? []).flatMap((node, index) => (node.children ? [] : [index]));
          fc.pre(leaves.length > 0);
          const at = leaves[place % leaves.length] ?? 0;
          const { [state.objects[at]?.id ?? '']: _, ...others } = byId(state.objects);
          expect(byId((await accepted(removeNode(exported, at))).objects)).toEqual(others);
        }),
        runs,
      );
    });

    it('makes a new object of a node that another program copied, in both modes, and says so', async () => {
      await fc.assert(
        fc.asyncProperty(gltfDocuments, fc.nat(), fc.nat(), async (document, which, place) => {
          const state = await accepted(document);
          fc.pre(state.objects.length > 0);
          const exported = exportGltf(state);
          const from = which % state.objects.length;
          const { children, ...copy } = exported.nodes?.[from] ?? {};
          // Behind it: the first node with an id is the object.
          const at = from + 1 + (place % (state.objects.length - from));
          const edited = insertNode(exported, at, { ...copy, name: 'copy' });
          expect((await readDocument(edited)).notes).toContainEqual(
            expect.objectContaining({ code: 'copied_nodes', count: 1 }),
          );
          const before = byId(state.objects);
          for (const after of [byId((await accepted(edited)).objects), await mergeInto(state, edited)]) {
            const added = Object.keys(after).filter((id) => !Object.hasOwn(before, id));
            expect(added).toHaveLength(1);
            const { [added[0] ?? '']: copied, ...others } = after;
            expect(others).toEqual(before);
            expect(copied).toMatchObject({ name: 'copy', modelId: null });
          }
        }),
        runs,
      );
    });
  });
}
