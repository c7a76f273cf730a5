import { Box3, Sphere, Vector3 } from 'three';
import { connect, type World, type WorldkeepError } from 'worldkeep/client';
import { find, notify } from './dom.ts';
import { Editor } from './editing/editor.ts';
import { listenToKeys } from './editing/keys.ts';
import { PointerTools, type Tool } from './editing/pointer.ts';
import { readModel, uploadModel } from './editing/upload.ts';
import { showChat } from './panels/chat-panel.ts';
import { ObjectPanel } from './panels/object-panel.ts';
import { ObjectsPanel } from './panels/objects-panel.ts';
import { showPeople } from './panels/people-panel.ts';
import { showOutage, showStatus } from './panels/status-panel.ts';
import { Avatars } from './scene/avatars.ts';
import { Marks } from './scene/marks.ts';
import { Models } from './scene/models.ts';
import { Scenery } from './scene/scenery.ts';
import { SHAPES } from './scene/shapes.ts';
import { Stage } from './scene/stage.ts';
import { Walker } from './scene/walker.ts';
import { forgetSignIn, type SignIn } from './sign-in.ts';

/** Milliseconds for which a change waits for others. Half of the default, so that a drag looks alive to others. */
const BATCH_MS = 50;
/** As in style.css. */
const NARROW = '(max-width: 760px)';
/** The camera looks at this part of the objects, so that a few far ones do not make the rest small. */
const SHOWN_PART = 0.9;

/** For the console of the browser, and for tests: the SDK's world, and what draws it. */
declare global {
  interface Window {
    worldkeep?: { world: World; stage: Stage; scenery: Scenery; editor: Editor };
  }
}

/** Shows a space, as far as the server lets this person see it. */
export async function openWorld(signIn: SignIn): Promise<void> {
  const { space, token } = signIn;
  find('world').hidden = false;
  find('space-name').textContent = space;
  document.title = `${space} · worldkeep`;
  let stage: Stage;
  try {
    stage = new Stage(find<HTMLCanvasElement>('view'));
  } catch (error) {
    console.warn(error);
    showOutage({ text: 'This browser cannot draw in 3D: it has no WebGL 2, or it is switched off.' });
    return;
  }
  const world = connect({ url: location.origin, space, token, batchMs: BATCH_MS });
  const canEdit = readRole(token) !== 'viewer';
  find('tools').hidden = !canEdit;
  find('view-only').hidden = canEdit;
  for (const row of document.querySelectorAll<HTMLElement>('[data-edits]')) row.hidden = !canEdit;
  /** The models of this tab. The server shows a model to a person after it has an object with it, which may be later. */
  const ownFiles = new Map<string, File>();
  const models = new Models(
    async (modelId) => ownFiles.get(modelId)?.arrayBuffer() ?? readModel(signIn, modelId),
  );
  const scenery = new Scenery(stage.scene, world, models, () => stage.invalidate());
  const marks = new Marks(stage.scene, world, scenery.figures);
  const editor = new Editor(world, scenery);
  window.worldkeep = { world, stage, scenery, editor };
  // A phone has no room for panels that nobody has opened.
  if (matchMedia(NARROW).matches)
    for (const panel of document.querySelectorAll('details')) panel.open = false;
  showStatus(world, marks, stage);
  world.on('refused', ({ code, message }) => notify(explainRefusal(code, message)));
  try {
    await world.ready;
  } catch (error) {
    await world.close({ timeoutMs: 0 });
    explainClosed(error as WorldkeepError);
    return;
  }
  const showAll = (isSmooth: boolean) => {
    const box = measureWorld(scenery);
    if (box === null) return;
    stage.lookAt(box, isSmooth);
    stage.setHaze(box.getBoundingSphere(new Sphere()).radius);
  };
  showAll(false);
  // Only a loaded model tells its size.
  void scenery.settle().then(() => {
    if (!stage.isSteered) showAll(false);
  });
  const avatars = new Avatars(stage.scene, world, find('names'), () => stage.invalidate());
  const walker = new Walker(world, stage);
  const pointer = new PointerTools(stage, scenery, editor, { walk: (place) => walker.goTo(place) });
  stage.onFrame((nowMs, deltaSeconds) => {
    walker.update(nowMs, deltaSeconds);
    const isMoved = scenery.figures.advance(nowMs);
    if (isMoved) pointer.update();
    const isMarked = marks.update(nowMs);
    return avatars.advance(nowMs) || isMoved || isMarked || walker.isWalking;
  });
  let isDrawn = false;
  stage.onDrawn(() => {
    // For benchmarks: the first picture with objects.
    if (!isDrawn) performance.mark('worldkeep:drawn');
    isDrawn = true;
    avatars.showNames(stage.camera, stage.canvas.clientWidth, stage.canvas.clientHeight);
  });
  new ObjectPanel(world, editor, scenery, canEdit);
  const lookAt = () => {
    const selected = pointer.measureSelected();
    if (selected === null) showAll(true);
    else stage.lookAt(selected, true);
  };
  new ObjectsPanel(world, (id) => {
    editor.select(id);
    lookAt();
  });
  showPeople(world);
  showChat(world);
  setUpTools();
  performance.mark('worldkeep:loaded');

  function setUpTools(): void {
    const shape = find<HTMLSelectElement>('new-shape');
    for (const name of SHAPES) if (name !== 'none') shape.add(new Option(name));
    const create = () => {
      const { x, z } = stage.controls.getTarget(new Vector3());
      editor.create({ position: { x, y: 0.5, z }, properties: { shape: shape.value } });
    };
    const remove = () => {
      const count = editor.delete();
      if (count > 1)
        notify(`Deleted ${count} objects: the selected one, and all below it. Undo brings them back.`);
    };
    const undo = () => {
      if (editor.undo() === 'changed_since') notify('Not undone: somebody has changed it since.');
    };
    const redo = () => {
      if (editor.redo() === 'changed_since') notify('Not redone: somebody has changed it since.');
    };
    const tools = [...document.querySelectorAll<HTMLInputElement>('[name="tool"]')];
    for (const tool of tools) tool.addEventListener('change', () => (pointer.tool = tool.value as Tool));
    const selectNext = (step: 1 | -1) => {
      const ids = [...world.objects.keys()];
      const at = editor.selected === null ? (step === 1 ? -1 : 0) : ids.indexOf(editor.selected.id);
      editor.select(ids.at((at + step) % ids.length) ?? null);
    };
    const help = () => find<HTMLDialogElement>('help').showModal();
    const buttons = {
      create,
      delete: remove,
      undo,
      redo,
      duplicate: () => editor.duplicate(),
      focus: lookAt,
      'open-help': help,
    };
    for (const [id, action] of Object.entries(buttons)) find(id).addEventListener('click', action);
    editor.onChange(() => {
      find<HTMLButtonElement>('undo').disabled = !editor.history.canUndo;
      find<HTMLButtonElement>('redo').disabled = !editor.history.canRedo;
    });
    listenToKeys(
      stage,
      editor,
      walker,
      { canEdit },
      {
        ...{ create, delete: remove, undo, redo, selectNext, help },
        chooseTool: (index) => tools[index]?.click(),
        lookAtSelected: lookAt,
        write: () => {
          find<HTMLDetailsElement>('chat-panel').open = true;
          find('text').focus();
        },
      },
    );
    setUpDrop();
    if (!canEdit) pointer.tool = null;
  }

  function setUpDrop(): void {
    // A browser would leave the page, and show the file.
    addEventListener('dragover', (event) => event.preventDefault());
    addEventListener('drop', (event) => event.preventDefault());
    if (!canEdit) return;
    const input = find<HTMLInputElement>('model-file');
    input.addEventListener('change', async () => {
      for (const file of input.files ?? [])
        await addModel(file, stage.controls.getTarget(new Vector3()).setY(0));
      input.value = '';
    });
    const { canvas } = stage;
    addEventListener('dragover', () => canvas.classList.add('is-over'));
    addEventListener('dragleave', () => canvas.classList.remove('is-over'));
    addEventListener('drop', async (event) => {
      canvas.classList.remove('is-over');
      const place = pointer.aimAtPlace(event) ?? new Vector3();
      for (const file of event.dataTransfer?.files ?? []) await addModel(file, place);
    });
  }

  async function addModel(file: File, { x, y, z }: Vector3): Promise<void> {
    const done = notify(`Adding ${file.name} …`);
    try {
      const { id } = await uploadModel(signIn, file);
      ownFiles.set(id, file);
      editor.create({ modelId: id, name: file.name.replace(/\.\w+$/, ''), position: { x, y, z } });
    } catch (error) {
      notify((error as Error).message);
    } finally {
      done();
    }
  }
}

/** The role that a session token names. The server checks it; the page only hides what will be refused. */
function readRole(token: string): string | null {
  try {
    const [, claims = ''] = token.split('.');
    return JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/'))).role ?? null;
  } catch {
    return null;
  }
}

/** Where most objects are. null: the world is empty */
function measureWorld(scenery: Scenery): Box3 | null {
  scenery.figures.advance(performance.now());
  const boxes = [...scenery.figures.values()]
    .filter(({ parts, isShown }) => parts.length > 0 && isShown)
    .map((figure) => scenery.measure(figure).applyMatrix4(figure.matrix));
  if (boxes.length === 0) return null;
  const cut = Math.floor((boxes.length * (1 - SHOWN_PART)) / 2);
  const corner = (end: 'min' | 'max') =>
    (['x', 'y', 'z'] as const).map(
      (axis) =>
        boxes
          .map((box) => box[end][axis])
          .sort((a, b) => a - b)
          .at(end === 'min' ? cut : -1 - cut) ?? 0,
    );
  return new Box3(new Vector3().fromArray(corner('min')), new Vector3().fromArray(corner('max')));
}

function explainRefusal(code: string, message: string): string {
  if (code === 'forbidden') return 'The server refused the change: your role in this world may not make it.';
  return `The server refused the change, and it is gone here too. ${message}`;
}

/** The world is not there, or not for this person. */
function explainClosed({ status, message }: WorldkeepError): void {
  forgetSignIn();
  const text = status === 404 ? 'There is no such world any more.' : message;
  showOutage({ text: `${text} Open another sign-in link in this tab.` });
}
