/** The package comes without types; tests need a few of its classes. */
declare module 'three' {
  export class Vector3 {
    constructor(x?: number, y?: number, z?: number);
    toArray(): number[];
  }
  export class Euler {
    constructor(x?: number, y?: number, z?: number, order?: string);
    toArray(): (number | string)[];
  }
  export class Quaternion {
    readonly x: number;
    readonly y: number;
    readonly z: number;
    readonly w: number;
    constructor(x?: number, y?: number, z?: number, w?: number);
    setFromEuler(euler: Euler): this;
    toArray(): number[];
  }
  export class Object3D {
    readonly position: Vector3;
    readonly quaternion: Quaternion;
    readonly rotation: Euler;
    readonly scale: Vector3;
  }
}
