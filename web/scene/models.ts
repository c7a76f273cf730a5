import {
  Box3,
  BufferAttribute,
  type BufferGeometry,
  type Material,
  Matrix4,
  type Mesh,
  type MeshStandardMaterial,
  type SkinnedMesh,
  Vector3,
} from 'three';
import { MeshoptDecoder } from 'three/addons/libs/meshopt_decoder.module.js';
import { type GLTF, GLTFLoader } from 'three/addons/loaders/GLTFLoader.js';
import { checkModel, ModelInvalid } from './check-model.ts';
import { DRAWN_MAX, type Piece } from './figure.ts';

/** A loaded file: all of it, and each mesh by its index in the file. */
interface Model {
  whole: Piece[];
  meshes: Map<number, Piece[]>;
}

/** Reads the bytes of a model. @throws Error that says why there are none */
export type ReadModel = (modelId: string) => Promise<ArrayBuffer>;

/** Files that are loaded at the same time. */
const PARALLEL_MAX = 4;
const METALNESS_MAX = 0.3;

/** The models of the library, each loaded once. */
export class Models {
  readonly #read: ReadModel;
  readonly #models = new Map<string, Promise<Model>>();
  readonly #failures = new Map<string, unknown>();
  readonly #loader = new GLTFLoader().setMeshoptDecoder(MeshoptDecoder);
  /** The same shape is drawn in one call, also if a file has it many times. */
  readonly #geometries = new Map<string, BufferGeometry>();
  readonly #keys = new WeakMap<BufferGeometry, string>();
  readonly #pieces = new Map<string, Piece>();
  #running = 0;
  readonly #queue: (() => void)[] = [];

  constructor(read: ReadModel) {
    this.#read = read;
  }

  /**
   * @param mesh the index of the one mesh to show; null: the whole file
   * @throws Error that says why the model cannot be shown
   */
  async load(modelId: string, mesh: number | null): Promise<Piece[]> {
    let loading = this.#models.get(modelId);
    if (loading === undefined) {
      loading = this.#open(modelId);
      this.#models.set(modelId, loading);
      loading.catch((failure: unknown) => this.#failures.set(modelId, failure));
    }
    const { whole, meshes } = await loading;
    return mesh === null ? whole : (meshes.get(mesh) ?? whole);
  }

  /**
   * Forgets a failure, so that the next load tries again. Many objects with the same model wait for the same load, and one of them
   * forgets it for all.
   */
  forget(modelId: string, failure: unknown): void {
    if (this.#failures.get(modelId) !== failure) return;
    this.#failures.delete(modelId);
    this.#models.delete(modelId);
  }

  async #open(modelId: string): Promise<Model> {
    if (this.#running >= PARALLEL_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running++;
    try {
      const bytes = await this.#read(modelId);
      checkModel(bytes);
      return this.#takeApart(await this.#parse(bytes));
    } finally {
      this.#running--;
      this.#queue.shift()?.();
    }
  }

  /** @throws ModelInvalid */
  async #parse(bytes: ArrayBuffer): Promise<GLTF> {
    try {
      const parsed = await this.#loader.parseAsync(bytes, '');
      if (parsed.scene) return parsed;
    } catch (error) {
      throw new ModelInvalid(`Its model cannot be drawn: ${(error as Error).message}`);
    }
    throw new ModelInvalid('Its model cannot be drawn: the file has no scene.');
  }

  /** @throws ModelInvalid */
  #takeApart({ scene, parser }: GLTF): Model {
    scene.updateMatrixWorld(true);
    const model: Model = { whole: [], meshes: new Map() };
    scene.traverse((node) => {
      const mesh = node as Mesh;
      if (!mesh.isMesh) return;
      const index = parser.associations.get(mesh)?.meshes;
      const still = readStill(mesh);
      refuseFar(still, mesh.matrixWorld);
      const geometry = this.#shareGeometry(still);
      const material = Array.isArray(mesh.material) ? mesh.material[0] : mesh.material;
      if (material === undefined) return;
      limitMetal(material);
      model.whole.push(this.#sharePiece(geometry, material, mesh.matrixWorld));
      if (index === undefined) return;
      // A file shows one mesh at several nodes. Each of them is an object of its own.
      const known = model.meshes.get(index) ?? [];
      const piece = this.#sharePiece(geometry, material, null);
      if (!known.includes(piece)) model.meshes.set(index, [...known, piece]);
    });
    return model;
  }

  #shareGeometry(geometry: BufferGeometry): BufferGeometry {
    // Nodes with the same mesh share its geometry already.
    const key = this.#keys.get(geometry) ?? hashGeometry(geometry);
    this.#keys.set(geometry, key);
    const known = this.#geometries.get(key);
    if (known === undefined) this.#geometries.set(key, geometry);
    else if (known !== geometry) geometry.dispose();
    return known ?? geometry;
  }

  #sharePiece(geometry: BufferGeometry, material: Material, offset: Matrix4 | null): Piece {
    const place = offset === null || isIdentity(offset) ? null : offset.clone();
    const key = `${geometry.uuid} ${material.uuid} ${place?.elements.join() ?? ''}`;
    const piece = this.#pieces.get(key) ?? { geometry, material, offset: place };
    this.#pieces.set(key, piece);
    return piece;
  }
}

/** A skinned or morphed mesh as it is before an animation. */
function readStill(mesh: Mesh): BufferGeometry {
  const skinned = mesh as SkinnedMesh;
  // Instances of a mesh cannot be morphed.
  mesh.geometry.morphAttributes = {};
  if (!skinned.isSkinnedMesh) return mesh.geometry;
  const geometry = mesh.geometry.clone();
  const position = geometry.getAttribute('position');
  const still = new BufferAttribute(new Float32Array(position.count * 3), 3);
  const vertex = new Vector3();
  for (let i = 0; i < position.count; i++) {
    skinned.applyBoneTransform(i, vertex.fromBufferAttribute(position, i));
    still.setXYZ(i, vertex.x, vertex.y, vertex.z);
  }
  geometry.setAttribute('position', still);
  geometry.computeVertexNormals();
  return geometry;
}

/** The geometries whose points were looked at. Nodes with the same mesh share its geometry. */
const looked = new WeakSet<BufferGeometry>();

/** Refuses a mesh that no camera can show: it would take the view of everybody. @throws ModelInvalid */
function refuseFar(geometry: BufferGeometry, offset: Matrix4): void {
  const { array, itemSize } = geometry.getAttribute('position') ?? { array: [], itemSize: 0 };
  // Also false for NaN.
  const isNear = (number: number) => Math.abs(number) <= DRAWN_MAX;
  let isDrawn = itemSize === 3 && (looked.has(geometry) || array.every(isNear));
  if (isDrawn && !looked.has(geometry)) {
    looked.add(geometry);
    // The file may tell other bounds than its points have.
    geometry.computeBoundingBox();
    geometry.computeBoundingSphere();
  }
  const { min, max } = geometry.boundingBox?.clone().applyMatrix4(offset) ?? new Box3();
  isDrawn &&= [...offset.elements, ...min.toArray(), ...max.toArray()].every(isNear);
  if (!isDrawn)
    throw new ModelInvalid('Its model cannot be drawn: it is beyond 10,000,000 metres, or has no numbers.');
}

/** FNV-1a over all numbers of a geometry. Two attributes may share one array: then the key also has the offset of each. */
function hashGeometry({ attributes, index }: BufferGeometry): string {
  let hash = 0x811c9dc5;
  const parts = Object.entries(attributes).map(([name, attribute]) => ({ name, attribute }));
  if (index !== null) parts.push({ name: 'index', attribute: index });
  for (const { attribute } of parts) {
    const { array } = 'data' in attribute ? attribute.data : attribute;
    const bytes = new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
    for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  const described = parts.map(({ name, attribute }) => {
    const { count, itemSize, normalized } = attribute;
    const offset = 'offset' in attribute ? attribute.offset : 0;
    return `${name}:${count}:${itemSize}:${normalized}:${offset}`;
  });
  return `${hash} ${described.join()}`;
}

function isIdentity(matrix: Matrix4): boolean {
  return matrix.equals(new Matrix4());
}

/** The scene has no surroundings that metal could show: pure metal would be black. */
function limitMetal(material: Material): void {
  const standard = material as MeshStandardMaterial;
  if (standard.isMeshStandardMaterial) standard.metalness = Math.min(standard.metalness, METALNESS_MAX);
}
