import fc from 'fast-check';

type Json = Record<string, unknown>;

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
  fc.constantFrom(0, 1, -1, 1e-9, 1 / 3, 5e-324),
);
const list = (length: number) => fc.array(number, { minLength: length, maxLength: length });
const rotation = list(4).filter((parts) => Math.hypot(...parts) > 1e-3);
const json = fc.jsonValue({ maxDepth: 2 });
const members = fc.dictionary(fc.constantFrom('a', 'b', 'colour', 'extras'), json, { maxKeys: 3 });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const matrix = list(12).map((m) => [
  ...[...m.slice(0, 3), 0, ...m.slice(3, 6), 0, ...m.slice(6, 9), 0],
  ...[...m.slice(9, 12), 1],
]);
const transform = fc.oneof(
  fc.record({ translation: list(3), rotation, scale: list(3) }, { requiredKeys: [] }),
  fc.record({ matrix }),
);

const extensions = fc.record(
  {
    VENDOR_plain: members,
    VENDOR_index: fc.record({ node: fc.nat(9), also: json }),
    VENDOR_deep: fc.record({ list: fc.array(fc.record({ texture: fc.record({ index: fc.nat(3) }) })) }),
  },
  { requiredKeys: [] },
);

const camera = fc.oneof(
  fc.record(
    {
      type: fc.constant('perspective'),
      perspective: fc.constant({ yfov: 0.5, znear: 0.1 }),
      name: fc.string(),
      extras: json,
    },
    { requiredKeys: ['type', 'perspective'] },
  ),
  fc.constant({ type: 'orthographic', orthographic: { xmag: 1, ymag: 2, znear: 0, zfar: 9 } }),
  fc.constant({ type: 'perspective', name: 'broken' }),
);
const light = fc.oneof(
  fc.record(
    { type: fc.constantFrom('point', 'directional'), color: list(3), intensity: number, extras: json },
    { requiredKeys: ['type'] },
  ),
  fc.constant({ type: 'spot', spot: { innerConeAngle: 0.2 } }),
  fc.constant({ type: 'spot', name: 'broken' }),
);

const node = fc.record({
  name: optional(fc.string({ maxLength: 5 })),
  transform,
  camera: optional(fc.nat()),
  light: optional(fc.nat()),
  mesh: optional(fc.constant(0)),
  skin: optional(fc.constant(0)),
  weights: optional(list(2)),
  extras: optional(fc.oneof(members, json)),
  extensions: optional(extensions),
  parent: fc.nat(),
});

/** glTF documents with all that a node, a scene and the file may carry; a few are refused (numbers too great to use). */
export const gltfDocuments: fc.Arbitrary<Json> = fc
  .record({
    nodes: fc.array(node, { maxLength: 7 }),
    cameras: fc.array(camera, { maxLength: 3 }),
    lights: fc.array(light, { maxLength: 3 }),
    scenes: fc.array(
      fc.record(
        {
          name: fc.string({ maxLength: 5 }),
          extras: json,
          extensions,
          inIt: fc.array(fc.boolean(), { minLength: 7, maxLength: 7 }),
        },
        { requiredKeys: ['inIt'] },
      ),
      { maxLength: 3 },
    ),
    scene: optional(fc.nat()),
    asset: fc.record({ copyright: fc.string(), generator: fc.string(), extras: json }, { requiredKeys: [] }),
    extras: optional(fc.oneof(members, json)),
    extensions: optional(extensions),
    required: optional(fc.subarray(['VENDOR_plain', 'VENDOR_index', 'KHR_unheard_of'])),
  })
  .map(({ nodes, cameras, lights, scenes, scene, asset, extras, extensions: ofFile, required }) => {
    // A node's parent is one before it, or none: so there is no cycle, and roots may be anywhere.
    const parents = nodes.map(({ parent }, index) => (parent % (index + 1)) - 1);
    const pick = (index: number | undefined, of: readonly unknown[]) =>
      index === undefined || of.length === 0 ? undefined : index % of.length;
    const built = nodes.map(
      ({ transform: placed, parent: _, light: lit, camera: seen, extensions: own, ...rest }, index) => {
        const children = parents.flatMap((parent, child) => (parent === index ? [child] : []));
        const at = pick(lit, lights);
        const all = { ...own, ...(at !== undefined && { KHR_lights_punctual: { light: at } }) };
        return {
          ...rest,
          ...placed,
          camera: pick(seen, cameras),
          ...(children.length > 0 && { children }),
          ...((own !== undefined || at !== undefined) && { extensions: all }),
        };
      },
    );
    const roots = parents.flatMap((parent, index) => (parent < 0 ? [index] : []));
    const allExtensions = { ...ofFile, ...(lights.length > 0 && { KHR_lights_punctual: { lights } }) };
    const document = {
      asset: { ...asset, version: '2.0' },
      ...(built.length > 0 && { nodes: built }),
      ...(cameras.length > 0 && { cameras }),
      ...(Object.keys(allExtensions).length > 0 && { extensions: allExtensions }),
      ...(required !== undefined && { extensionsRequired: required }),
      meshes: [{ name: 'box', primitives: [] }],
      skins: [{ joints: [0] }],
      scenes:
        scenes.length === 0
          ? undefined
          : scenes.map(({ inIt, ...rest }) => ({ ...rest, nodes: roots.filter((root) => inIt[root]) })),
      scene: pick(scene, scenes),
      extras,
    };
    // Through JSON, as files go: −0 becomes 0, and absent members vanish.
    return JSON.parse(JSON.stringify(document)) as Json;
  });

const anyOf = (...arbitraries: fc.Arbitrary<unknown>[]) => fc.oneof(json, ...arbitraries);
const indices = fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 3 });

/** Properties that look as if they came from glTF, and may be nonsense. */
const properties = fc.record(
  {
    gltf: anyOf(
      fc.record(
        {
          camera: anyOf(camera),
          light: anyOf(light),
          extensions: anyOf(extensions),
          matrix: anyOf(matrix),
          scenes: anyOf(indices),
          node: json,
        },
        { requiredKeys: [] },
      ),
    ),
    extras: anyOf(members),
    other: json,
  },
  { requiredKeys: [] },
);

const settings = fc.record(
  {
    gltf: anyOf(
      fc.record(
        {
          scenes: anyOf(fc.array(members, { maxLength: 2 })),
          scene: anyOf(fc.nat(2)),
          asset: anyOf(members),
          extras: anyOf(members),
          extensions: anyOf(extensions),
          extensionsRequired: anyOf(fc.constant(['VENDOR_plain'])),
        },
        { requiredKeys: [] },
      ),
    ),
    sky: json,
  },
  { requiredKeys: [] },
);

/** Exports of worlds that were made here and not from a file: parents may be missing, or below their children. */
export const worldDocuments: fc.Arbitrary<Json> = fc
  .record({
    objects: fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd'),
        name: fc.option(fc.string({ maxLength: 5 })),
        parentId: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'gone')),
        modelId: fc.option(fc.constant('chair')),
        position: fc.record({ x: number, y: number, z: number }),
        properties,
      }),
      { selector: ({ id }) => id, maxLength: 4 },
    ),
    space: fc.record({ name: fc.string({ minLength: 1, maxLength: 5 }), settings }),
  })
  .map((document) => JSON.parse(JSON.stringify(document)) as Json);
