import { createHash } from 'node:crypto';
import { type bbox, getBounds, Logger, type Node, NodeIO } from '@gltf-transform/core';

/** The picture that a viewer makes of a glTF file: no ids, no indices, no order. */
export interface Appearance {
  nodes: number;
  meshes: number;
  bounds: number[];
  /** One line for each node with a mesh: its bounding box, and what its mesh is made of. */
  shown: string[];
  animations: string[];
}

/** Reads a binary glTF with a library that is not part of this project. */
export async function readAppearance(glb: Uint8Array): Promise<Appearance> {
  const io = new NodeIO().setLogger(new Logger(Logger.Verbosity.ERROR));
  const root = (await io.readBinary(glb)).getRoot();
  const scene = root.getDefaultScene() ?? root.listScenes()[0];
  if (scene === undefined) throw new Error('The file has no scene.');
  const nodes: Node[] = [];
  scene.traverse((node) => nodes.push(node));
  return {
    nodes: nodes.length,
    meshes: root.listMeshes().length,
    bounds: roundBox(getBounds(scene)),
    shown: nodes.flatMap((node) => describeShape(node) ?? []).toSorted(),
    animations: root
      .listAnimations()
      .flatMap((animation) =>
        animation
          .listChannels()
          .map(
            (channel) =>
              `${animation.getName()}: ${channel.getTargetNode()?.getName()} ${channel.getTargetPath()} ${digest(channel.getSampler()?.getOutput()?.getArray())}`,
          ),
      )
      .toSorted(),
  };
}

function describeShape(node: Node): string | null {
  const mesh = node.getMesh();
  if (mesh === null) return null;
  const primitives = mesh.listPrimitives().map((primitive) => {
    const material = primitive.getMaterial();
    const image = material?.getBaseColorTexture()?.getImage();
    const vertices = primitive
      .listSemantics()
      .map((name) => `${name} ${digest(primitive.getAttribute(name)?.getArray())}`);
    return [
      ...vertices.toSorted(),
      digest(primitive.getIndices()?.getArray()),
      material?.getName(),
      material?.getBaseColorFactor(),
      digest(image),
    ];
  });
  const skin = node.getSkin();
  const joints = skin?.listJoints().map((joint) => `${joint.getName()} ${joint.getWorldTranslation()}`);
  const matrices = digest(skin?.getInverseBindMatrices()?.getArray());
  return JSON.stringify([roundBox(getBounds(node)), node.getWeights(), primitives, joints, matrices]);
}

function digest(array: ArrayLike<number> | null | undefined): string | null {
  if (array === null || array === undefined) return null;
  return createHash('sha256')
    .update(JSON.stringify(Array.from(array)))
    .digest('hex')
    .slice(0, 12);
}

function roundBox({ min, max }: bbox): number[] {
  return [...min, ...max].map((value) => Number(value.toPrecision(6)));
}
