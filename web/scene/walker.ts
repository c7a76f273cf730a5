import { Quaternion, Vector3 } from 'three';
import type { World } from 'worldkeep/client';
import type { Stage } from './stage.ts';

const METRES_PER_SECOND = 5;
/** Milliseconds between two changes of the avatar that are sent. */
const SEND_MS = 100;
/** A new avatar is at this part of the way from the middle of the view to the eye. */
const FIRST_PART = 0.4;
const UP = new Vector3(0, 1, 0);
/** By the physical key, so that it works on every keyboard. */
const DIRECTIONS: Record<string, [right: number, forward: number]> = {
  KeyW: [0, 1],
  KeyS: [0, -1],
  KeyA: [-1, 0],
  KeyD: [1, 0],
};

/** Walks the person's own avatar, and takes the camera along. */
export class Walker {
  readonly #world: World;
  readonly #stage: Stage;
  readonly #keys = new Set<string>();
  #place: Vector3;
  #rotation = new Quaternion();
  #goal: Vector3 | null = null;
  #sentMs = 0;
  #isUnsent = false;

  constructor(world: World, stage: Stage) {
    this.#world = world;
    this.#stage = stage;
    const own = world.userId === null ? undefined : world.users.get(world.userId);
    if (own === undefined) {
      // In the half that the camera is in.
      const angle = (Math.random() - 0.25) * Math.PI + Math.PI / 4;
      const target = stage.controls.getTarget(new Vector3());
      const radius = Math.max(4, stage.controls.distance * FIRST_PART);
      this.#place = new Vector3(target.x + radius * Math.cos(angle), 0, target.z + radius * Math.sin(angle));
      this.#rotation.setFromAxisAngle(UP, Math.PI / 2 - angle);
      this.#isUnsent = true;
    } else {
      this.#place = new Vector3().copy(own.position);
      this.#rotation.copy(own.rotation);
    }
  }

  /** @returns whether the key walks */
  press(code: string): boolean {
    if (!(code in DIRECTIONS)) return false;
    this.#keys.add(code);
    this.#goal = null;
    return true;
  }

  release(code: string): void {
    this.#keys.delete(code);
  }

  releaseAll(): void {
    this.#keys.clear();
  }

  /** Walks to a place. */
  goTo(place: Vector3): void {
    this.#goal = place.clone();
  }

  get isWalking(): boolean {
    return this.#goal !== null || this.#keys.size > 0;
  }

  update(nowMs: number, deltaSeconds: number): void {
    const step = this.#readDirection().multiplyScalar(METRES_PER_SECOND * deltaSeconds);
    if (this.#goal !== null) {
      const left = this.#goal.clone().sub(this.#place);
      if (left.length() <= step.length()) {
        step.copy(left);
        this.#goal = null;
      }
    }
    if (step.lengthSq() > 0) {
      this.#place.add(step);
      this.#rotation.setFromAxisAngle(UP, Math.atan2(-step.x, -step.z));
      const target = this.#stage.controls.getTarget(new Vector3()).add(step);
      void this.#stage.controls.moveTo(target.x, target.y, target.z, false);
      this.#isUnsent = true;
    }
    if (!this.#isUnsent || nowMs - this.#sentMs < SEND_MS || this.#world.userId === null) return;
    this.#sentMs = nowMs;
    this.#isUnsent = false;
    const { x, y, z } = this.#place;
    const { x: rx, y: ry, z: rz, w } = this.#rotation;
    this.#world.moveAvatar({ position: { x, y, z }, rotation: { x: rx, y: ry, z: rz, w } });
  }

  /** A length of 1, or 0. */
  #readDirection(): Vector3 {
    if (this.#goal !== null) return this.#goal.clone().sub(this.#place).normalize();
    const direction = new Vector3();
    const forward = this.#stage.camera.getWorldDirection(new Vector3()).setY(0).normalize();
    const right = forward.clone().cross(UP);
    for (const key of this.#keys) {
      const [x, z] = DIRECTIONS[key] ?? [0, 0];
      direction.addScaledVector(right, x).addScaledVector(forward, z);
    }
    return direction.normalize();
  }
}
