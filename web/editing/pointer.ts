import {
  Box3,
  BoxGeometry,
  EdgesGeometry,
  LineBasicMaterial,
  LineSegments,
  Matrix4,
  Object3D,
  Plane,
  Quaternion,
  Vector3,
} from 'three';
import { TransformControls } from 'three/addons/controls/TransformControls.js';
import type { LiveObject } from 'worldkeep/client';
import type { Scenery } from '../scene/scenery.ts';
import type { Stage } from '../scene/stage.ts';
import type { Editor } from './editor.ts';

export type Tool = 'translate' | 'rotate' | 'scale';

/** Pixels that a pointer may move in a click. */
const CLICK_PIXELS = 5;
const DOUBLE_CLICK_MS = 500;
const FLOOR = new Plane(new Vector3(0, 1, 0), 0);

export interface PointerHooks {
  /** A double click on a place where no object is. */
  walk(place: Vector3): void;
}

/** Selects and drags objects with a pointer, and shows what is selected. A drag moves only the object that is selected already. */
export class PointerTools {
  readonly #stage: Stage;
  readonly #scenery: Scenery;
  readonly #editor: Editor;
  readonly #gizmo: TransformControls;
  /** It is where the selected object is in the world. */
  readonly #handle = new Object3D();
  readonly #frame = new LineSegments(
    new EdgesGeometry(new BoxGeometry()),
    new LineBasicMaterial({ color: '#ffd166', toneMapped: false, fog: false }),
  );
  #drag: { id: string; pointerId: number; plane: Plane; offset: Vector3 } | null = null;
  /** The object that the gizmo drags. */
  #handledId: string | null = null;
  /** The selection before the newest click, and the one before a double click. */
  #clicked: { before: string | null; atMs: number } = { before: null, atMs: Number.NEGATIVE_INFINITY };
  #selectedBefore: string | null = null;
  #pressed: { x: number; y: number; pointerId: number } | null = null;

  constructor(stage: Stage, scenery: Scenery, editor: Editor, hooks: PointerHooks) {
    this.#stage = stage;
    this.#scenery = scenery;
    this.#editor = editor;
    this.#gizmo = new TransformControls(stage.camera, stage.canvas);
    this.#gizmo.setSize(0.8);
    stage.scene.add(this.#handle, this.#frame, this.#gizmo.getHelper());
    this.#frame.visible = false;
    this.#frame.matrixAutoUpdate = false;
    this.#gizmo.addEventListener('change', () => stage.invalidate());
    this.#gizmo.addEventListener('objectChange', () => this.#takeHandle());
    this.#gizmo.addEventListener('dragging-changed', ({ value }) => {
      stage.controls.enabled = !value;
      this.#handledId = value ? (editor.selected?.id ?? null) : null;
      if (!value) editor.endMove();
    });
    const { canvas } = stage;
    // Before the camera's own listener, which would turn the view.
    canvas.addEventListener('pointerdown', (event) => this.#press(event), { capture: true });
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    canvas.addEventListener('pointerup', (event) => this.#release(event));
    canvas.addEventListener('pointercancel', (event) => {
      this.#release(event);
      if (this.#gizmo.dragging) this.#gizmo.pointerUp(null);
    });
    canvas.addEventListener('dblclick', (event) => {
      const place = this.aimAtFloor(event);
      // The first click of the two may have selected what is there.
      if (place !== null && this.#pick(event) !== this.#selectedBefore) hooks.walk(place);
    });
    editor.onChange(() => this.#show());
  }

  /** null: nothing can be edited */
  set tool(tool: Tool | null) {
    if (tool === null) this.#gizmo.enabled = false;
    else this.#gizmo.setMode(tool);
    this.#show();
  }

  /** Where a pointer meets an object or the floor; null: it points to the sky. */
  aimAtPlace(event: { clientX: number; clientY: number }): Vector3 | null {
    return this.#scenery.pick(this.#stage.aim(event))?.point ?? this.aimAtFloor(event);
  }

  aimAtFloor(event: { clientX: number; clientY: number }): Vector3 | null {
    return this.#stage.aim(event).ray.intersectPlane(FLOOR, new Vector3());
  }

  /** Keeps the frame and the gizmo at the object, which others may move. */
  update(): void {
    const { selected } = this.#editor;
    const figure = selected === null ? undefined : this.#scenery.figures.get(selected.id);
    if (figure === undefined) return;
    const box = this.#scenery.measure(figure);
    if (box.isEmpty()) box.set(new Vector3().setScalar(-0.25), new Vector3().setScalar(0.25));
    const size = box.getSize(new Vector3()).addScalar(0.02);
    this.#frame.matrix
      .copy(figure.matrix)
      .multiply(new Matrix4().compose(box.getCenter(new Vector3()), new Quaternion(), size));
    if (!this.#gizmo.dragging)
      figure.matrix.decompose(this.#handle.position, this.#handle.quaternion, this.#handle.scale);
  }

  /** The space that the selected object takes in the world. */
  measureSelected(): Box3 | null {
    const { selected } = this.#editor;
    const figure = selected === null ? undefined : this.#scenery.figures.get(selected.id);
    if (!figure?.isShown) return null;
    const box = this.#scenery.measure(figure).applyMatrix4(figure.matrix);
    return box.isEmpty()
      ? new Box3().setFromCenterAndSize(
          new Vector3().setFromMatrixPosition(figure.matrix),
          new Vector3(1, 1, 1),
        )
      : box;
  }

  #show(): void {
    const { selected } = this.#editor;
    this.#frame.visible = selected !== null;
    this.update();
    const isShown = selected !== null && this.#scenery.figures.get(selected.id)?.isShown === true;
    if (isShown && this.#gizmo.enabled) this.#gizmo.attach(this.#handle);
    else this.#gizmo.detach();
    this.#stage.invalidate();
  }

  /** Clicks go through locked objects, such as a floor: they would be dragged by accident. */
  #pick(event: PointerEvent | MouseEvent): string | null {
    return this.#scenery.pick(this.#stage.aim(event), { skipsLocked: true })?.id ?? null;
  }

  #press(event: PointerEvent): void {
    if (event.button !== 0 || !event.isPrimary) return;
    this.#pressed = { x: event.clientX, y: event.clientY, pointerId: event.pointerId };
    const { selected } = this.#editor;
    // An axis under the pointer means that the gizmo takes the pointer. Its middle would drag an object into the ground.
    const isMiddle = this.#gizmo.axis === 'XYZ' && this.#gizmo.mode === 'translate';
    if (selected === null || !this.#gizmo.enabled || (this.#gizmo.axis !== null && !isMiddle)) return;
    if (this.#pick(event) !== selected.id) return;
    const figure = this.#scenery.figures.get(selected.id);
    const hit = this.#scenery.pick(this.#stage.aim(event), { skipsLocked: true });
    if (figure === undefined || hit === null) return;
    const place = new Vector3().setFromMatrixPosition(figure.matrix);
    if (isMiddle) event.stopImmediatePropagation();
    this.#drag = {
      id: selected.id,
      pointerId: event.pointerId,
      plane: new Plane().setFromNormalAndCoplanarPoint(FLOOR.normal, hit.point),
      offset: place.sub(hit.point),
    };
    this.#stage.controls.enabled = false;
    this.#stage.canvas.setPointerCapture(event.pointerId);
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    const { selected } = this.#editor;
    if (drag === null || drag.pointerId !== event.pointerId || this.#isClick(event)) return;
    // Another object was selected by a key meanwhile.
    if (selected?.id !== drag.id) return;
    const place = this.#stage.aim(event).ray.intersectPlane(drag.plane, new Vector3());
    if (place === null) return;
    const matrix = this.#editor.matrixToParent(selected.id);
    if (matrix !== null) this.#editor.move({ position: place.add(drag.offset).applyMatrix4(matrix) });
  }

  #release(event: PointerEvent): void {
    const wasDrag = this.#drag !== null;
    if (wasDrag) {
      this.#drag = null;
      this.#stage.controls.enabled = true;
      this.#editor.endMove();
    }
    if (
      event.type === 'pointerup' &&
      this.#isClick(event) &&
      !this.#gizmo.dragging &&
      this.#gizmo.axis === null
    )
      this.#click(event);
    this.#pressed = null;
  }

  #click(event: PointerEvent): void {
    const before = this.#editor.selected?.id ?? null;
    const isSecond = event.timeStamp - this.#clicked.atMs < DOUBLE_CLICK_MS;
    this.#selectedBefore = isSecond ? this.#clicked.before : before;
    this.#clicked = { before, atMs: event.timeStamp };
    this.#editor.select(this.#pick(event));
  }

  #isClick({ clientX, clientY, pointerId }: PointerEvent): boolean {
    const pressed = this.#pressed;
    if (pressed === null || pressed.pointerId !== pointerId) return false;
    return Math.hypot(clientX - pressed.x, clientY - pressed.y) < CLICK_PIXELS;
  }

  /** The gizmo has moved the handle. */
  #takeHandle(): void {
    const { selected } = this.#editor;
    if (selected === null || selected.id !== this.#handledId) return;
    const matrix = this.#handle.matrix.compose(
      this.#handle.position,
      this.#handle.quaternion,
      this.#handle.scale,
    );
    const toParent = this.#editor.matrixToParent(selected.id);
    if (toParent === null) return;
    const own = matrix.clone().premultiply(toParent);
    const [position, rotation, scale] = [new Vector3(), new Quaternion(), new Vector3()];
    own.decompose(position, rotation, scale);
    this.#editor.move(this.#pickMoved({ position, rotation, scale }));
  }

  /** A gizmo changes one of the three, and rounding must not change the others. */
  #pickMoved(pose: Pick<LiveObject, 'position' | 'rotation' | 'scale'>): Partial<typeof pose> {
    if (this.#gizmo.mode === 'rotate') return { rotation: pose.rotation };
    return this.#gizmo.mode === 'scale' ? { scale: pose.scale } : { position: pose.position };
  }
}
