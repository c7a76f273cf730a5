import {
  BoxGeometry,
  type BufferGeometry,
  Color,
  ConeGeometry,
  CylinderGeometry,
  DoubleSide,
  type Material,
  MeshBasicMaterial,
  MeshLambertMaterial,
  PlaneGeometry,
  SphereGeometry,
  TorusGeometry,
} from 'three';
import type { LiveObject } from 'worldkeep/client';
import type { Piece } from './figure.ts';

/** The shapes that `properties.shape` names: one metre wide, around their origin. */
const GEOMETRIES: Record<string, () => BufferGeometry> = {
  box: () => new BoxGeometry(),
  sphere: () => new SphereGeometry(0.5, 24, 16),
  cylinder: () => new CylinderGeometry(0.5, 0.5, 1, 24),
  cone: () => new ConeGeometry(0.5, 1, 24),
  torus: () => new TorusGeometry(0.4, 0.1, 12, 32).rotateX(Math.PI / 2),
  plane: () => new PlaneGeometry().rotateX(-Math.PI / 2),
};

export const SHAPES = [...Object.keys(GEOMETRIES), 'none'];

const solid = new MeshLambertMaterial({ side: DoubleSide });
const glowing = new MeshBasicMaterial({ toneMapped: false });
/** In place of a model that is not here. */
const missing = new MeshBasicMaterial({ wireframe: true });

const pieces = new Map<string, Piece>();

/** The shape of an object; null: it only groups others. */
export function findShape(object: LiveObject): Piece | null {
  const shape = readShape(object);
  if (shape === 'none') return null;
  return findPiece(shape, object.properties.glow === true ? glowing : solid);
}

/** The shape in place of a model until it is loaded, or if it cannot be shown. */
export function findPlaceholder(): Piece {
  return findPiece('box', missing);
}

/** The name of the shape of an object without a model. */
export function readShape({ properties: { shape, gltf } }: LiveObject): string {
  if (typeof shape === 'string' && SHAPES.includes(shape)) return shape;
  // A node of a glTF file without a mesh only groups others.
  const isGroup = typeof gltf === 'object' && gltf !== null && !('mesh' in gltf);
  return isGroup ? 'none' : 'box';
}

/** The colour of an object's shape. Without one of its own, it has a pale one that follows from its id. */
export function readColor({ id, properties: { color } }: LiveObject): Color {
  const css = typeof color === 'string' ? normalize(color) : null;
  return css === null ? colorOf(id, 0.35, 0.72) : new Color(css);
}

/** A colour that follows from a text. */
export function colorOf(text: string, saturation: number, lightness: number): Color {
  let hash = 0;
  for (const char of text) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 360;
  return new Color().setHSL(((hash * 137) % 360) / 360, saturation, lightness);
}

const LENGTH_MAX = 64;
const canvas = document.createElement('canvas').getContext('2d');

/** Any CSS colour as `#rrggbb`; null: it is none. */
export function normalize(css: string): string | null {
  if (canvas === null || css.length > LENGTH_MAX || !CSS.supports('color', css)) return null;
  canvas.fillStyle = '#000000';
  canvas.fillStyle = css;
  return canvas.fillStyle.startsWith('#') ? canvas.fillStyle : null;
}

function findPiece(shape: string, material: Material): Piece {
  const key = `${shape} ${material.id}`;
  const found = pieces.get(key);
  if (found !== undefined) return found;
  const sibling = [...pieces].find(([other]) => other.startsWith(`${shape} `))?.[1];
  const piece = {
    geometry: sibling?.geometry ?? GEOMETRIES[shape]?.() ?? new BoxGeometry(),
    material,
    offset: null,
  };
  pieces.set(key, piece);
  return piece;
}
