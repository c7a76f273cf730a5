import { Vector3 } from 'three';
import type { Stage } from '../scene/stage.ts';
import type { Walker } from '../scene/walker.ts';
import type { Editor } from './editor.ts';

/** The actions of keys, in addition to the editor's own steps. */
export interface KeyActions {
  create(): void;
  delete(): void;
  undo(): void;
  redo(): void;
  chooseTool(index: number): void;
  selectNext(step: 1 | -1): void;
  lookAtSelected(): void;
  write(): void;
  help(): void;
}

const METRES = { small: 0.25, large: 2 };
const TURN = Math.PI / 12;
const FACTOR = 1.1;
/** Radians and metres of the view for each press. */
const VIEW_TURN = Math.PI / 24;
const VIEW_METRES = 2;

/** Directions of the arrow keys, seen from the camera. */
const ARROWS: Record<string, [right: number, up: number, forward: number]> = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowUp: [0, 0, 1],
  ArrowDown: [0, 0, -1],
  PageUp: [0, 1, 0],
  PageDown: [0, -1, 0],
};

/** Everything that the page does, by keyboard. */
export function listenToKeys(
  stage: Stage,
  editor: Editor,
  walker: Walker,
  { canEdit }: { canEdit: boolean },
  actions: KeyActions,
): void {
  addEventListener('keyup', ({ code }) => walker.release(code));
  addEventListener('blur', () => walker.releaseAll());
  addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') !== null) return;
    if (isTyping(event)) {
      // The way back from a field to the keys of the view.
      if (event.key === 'Escape') stage.canvas.focus();
      return;
    }
    if (handle(event)) event.preventDefault();
  });

  function handle({ key, code, ctrlKey, metaKey, altKey, shiftKey, target }: KeyboardEvent): boolean {
    const letter = key.toLowerCase();
    // In a panel, a key could change an object that the person does not look at.
    if (target instanceof Element && target.closest('#panels') !== null) return false;
    if (ctrlKey || metaKey) return canEdit && handleCommand(letter, shiftKey);
    if (altKey) return false;
    if (walker.press(code)) return true;
    const isInView = target === stage.canvas || target === document.body;
    if (key === 'Escape') editor.select(null);
    else if (key === '?') actions.help();
    else if (key === '[' || key === ']') actions.selectNext(key === ']' ? 1 : -1);
    else if (letter === 'f') actions.lookAtSelected();
    else if (key === 'Enter' && isInView) actions.write();
    else if (code in ARROWS && isInView) arrow(code, shiftKey);
    else if ((key === '+' || key === '-') && editor.selected === null)
      void stage.controls.dolly(key === '+' ? VIEW_METRES : -VIEW_METRES, true);
    else return canEdit && handleEdit(key, letter);
    return true;
  }

  function handleCommand(letter: string, isShifted: boolean): boolean {
    if (letter === 'z' && !isShifted) actions.undo();
    else if (letter === 'y' || letter === 'z') actions.redo();
    else if (letter === 'd') editor.duplicate();
    else return false;
    return true;
  }

  function handleEdit(key: string, letter: string): boolean {
    if (letter === 'n') actions.create();
    else if (key === 'Delete' || key === 'Backspace') actions.delete();
    else if (letter === 'q') editor.nudge({ turn: TURN });
    else if (letter === 'e') editor.nudge({ turn: -TURN });
    else if (key === '+') editor.nudge({ factor: FACTOR });
    else if (key === '-') editor.nudge({ factor: 1 / FACTOR });
    else if (['1', '2', '3'].includes(key)) actions.chooseTool(Number(key) - 1);
    else return false;
    return true;
  }

  /** Moves the selected object along the world's axis that is nearest to the arrow, or turns the view. */
  function arrow(code: string, isShifted: boolean): void {
    const [right, up, forward] = ARROWS[code] ?? [0, 0, 0];
    if (editor.selected === null || !canEdit) {
      if (up !== 0) void stage.controls.truck(0, -up * VIEW_METRES, true);
      else void stage.controls.rotate(-right * VIEW_TURN, forward * VIEW_TURN, true);
      return;
    }
    const ahead = stage.camera.getWorldDirection(new Vector3());
    const isAlongX = Math.abs(ahead.x) > Math.abs(ahead.z);
    const front = isAlongX
      ? new Vector3(Math.sign(ahead.x), 0, 0)
      : new Vector3(0, 0, Math.sign(ahead.z) || -1);
    const side = front.clone().cross(new Vector3(0, 1, 0));
    const by = front
      .multiplyScalar(forward)
      .addScaledVector(side, right)
      .add(new Vector3(0, up, 0));
    editor.nudge({ by: by.multiplyScalar(isShifted ? METRES.large : METRES.small) });
  }
}

function isTyping({ target }: KeyboardEvent): boolean {
  const element = target as HTMLElement;
  if (element instanceof HTMLInputElement) return !['radio', 'checkbox', 'file'].includes(element.type);
  return element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement;
}
