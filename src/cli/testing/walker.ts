import { Document, NodeIO } from '@gltf-transform/core';

/** A PNG of one red pixel. */
const RED_PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==',
  'base64',
);
/** Shears: no translation, rotation and scale make it. */
const SHEARED = [1, 0, 0, 0, 0.5, 1, 0, 0, 0, 0, 1, 0, 2, 0, 0, 1];

/**
 * Makes a scene with a skinned and animated figure, two crates that share a mesh, a morph target, and a sheared node.
 * @returns its files by name: walker.gltf needs the others
 */
export async function makeWalker(): Promise<Record<string, Uint8Array>> {
  const document = new Document();
  const buffer = document.createBuffer('walker');
  const accessor = (type: 'SCALAR' | 'VEC3' | 'VEC4' | 'MAT4', array: Float32Array | Uint8Array) =>
    document
      .createAccessor()
      .setType(type)
      .setArray(array as Float32Array<ArrayBuffer>)
      .setBuffer(buffer);
  const triangle = (size: number) =>
    accessor('VEC3', new Float32Array([0, 0, 0, size, 0, 0, 0, size, size / 2]));
  const texture = document.createTexture('red').setImage(new Uint8Array(RED_PIXEL)).setMimeType('image/png');
  const material = document.createMaterial('paint').setBaseColorTexture(texture);
  const primitive = (size: number) =>
    document.createPrimitive().setAttribute('POSITION', triangle(size)).setMaterial(material);
  const crate = document
    .createMesh('crate')
    .addPrimitive(
      primitive(1).addTarget(document.createPrimitiveTarget().setAttribute('POSITION', triangle(0.1))),
    );
  const body = document.createMesh('body').addPrimitive(
    primitive(2)
      .setAttribute('JOINTS_0', accessor('VEC4', new Uint8Array([0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])))
      .setAttribute('WEIGHTS_0', accessor('VEC4', new Float32Array([1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]))),
  );
  const hip = document.createNode('hip').setTranslation([0, 1, 0]);
  const knee = document.createNode('knee').setTranslation([0, -0.5, 0]);
  hip.addChild(knee);
  const identity = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
  const skin = document
    .createSkin('bones')
    .addJoint(hip)
    .addJoint(knee)
    .setSkeleton(hip)
    .setInverseBindMatrices(accessor('MAT4', new Float32Array([...identity, ...identity])));
  const figure = document.createNode('figure').setMesh(body).setSkin(skin);
  const crates = [
    document.createNode('crate').setMesh(crate).setTranslation([5, 0, 0]).setWeights([0.25]),
    document.createNode('crate').setMesh(crate).setTranslation([9, 1, 0]).setScale([2, 2, 2]),
    document.createNode('bent').setMesh(crate),
  ];
  const sampler = document
    .createAnimationSampler()
    .setInput(accessor('SCALAR', new Float32Array([0, 1])))
    .setOutput(accessor('VEC3', new Float32Array([0, -0.5, 0, 0, -0.6, 0])));
  const channel = document
    .createAnimationChannel()
    .setTargetNode(knee)
    .setTargetPath('translation')
    .setSampler(sampler);
  document.createAnimation('walk').addSampler(sampler).addChannel(channel);
  const scene = document.createScene('yard');
  for (const node of [figure, hip, ...crates]) scene.addChild(node);
  document.getRoot().setDefaultScene(scene);
  const { json, resources } = await new NodeIO().writeJSON(document, { basename: 'walker' });
  const bent = json.nodes?.find(({ name }) => name === 'bent');
  if (bent !== undefined) bent.matrix = SHEARED;
  return { ...resources, 'walker.gltf': new TextEncoder().encode(JSON.stringify(json)) };
}
