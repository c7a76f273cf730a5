import { cloneJson } from '../world/merge-patch.ts';
import { expandOperations } from '../world/move.ts';
import type { AppendedOperation, ChatPostOperation, Operation } from '../world/operation.ts';
import { type ReplayAvatar, type ReplayObject, type ReplayWorld, replayEntry } from '../world/replay.ts';
import { timeToSeq } from '../world/seq-time.ts';
import type { JsonObject, Seq, WorldState } from '../world/types.ts';
import { Emitter, EventQueue } from './emitter.ts';
import { LayeredMap } from './live-map.ts';
import { targetOf } from './merge-operations.ts';
import { type Durability, LEVELS } from './sent.ts';
import type { LiveMessage, LiveObject, LiveUser } from './types.ts';

/** An operation of this client that the mirror shows before the server confirms it. */
export interface LocalOperation {
  /** Its place among the pending operations. */
  n: number;
  op: Operation;
  /** The seq at which the server has it; null: unknown. */
  seq: Seq | null;
  /** The store that holds it while it has no seq: `local` if absent. */
  level?: Durability;
}

/** One entry of the log, as the stream sends it. */
export interface SentChange {
  seq: Seq;
  prev: Seq;
  actor: string | null;
  ops: AppendedOperation[];
}

/** The parts of a state that a mirror needs. */
export type MirrorState = Pick<WorldState, 'seq' | 'durableSeq' | 'spilled' | 'objects' | 'users' | 'chat'>;

/** Messages that a state has at most, and that the mirror shows. */
const MESSAGES_SHOWN_MAX = 50;
/** Messages that the mirror keeps, so that older ones replace deleted ones. */
const MESSAGES_KEPT_MAX = 100;

/**
 * A world at one seq, with the client's own pending operations above it. An operation stays above it until the mirror has reached its
 * seq. All operations are absolute, so it does no harm if an operation is shown twice meanwhile.
 */
export class Mirror {
  readonly objects: LayeredMap<LiveObject>;
  readonly users: LayeredMap<LiveUser>;
  readonly #queue = new EventQueue();
  readonly chatEvents = new Emitter<{ enter: [LiveMessage]; leave: [LiveMessage]; change: [] }>(this.#queue);
  readonly #world: ReplayWorld = {
    objects: new Map(),
    avatars: new Map(),
    removed: new Map(),
    people: null,
  };
  /** The shown avatars: of people that the server has named. */
  readonly #users = new Map<string, LiveUser>();
  /** Avatars that wait for the name of their person, and avatars that do not wait any more. */
  readonly #unnamed = new Set<string>();
  readonly #strangers = new Set<string>();
  #names = new Map<string, Pick<LiveUser, 'displayName' | 'avatarUrl'>>();
  #messages: LiveMessage[] = [];
  #hasOlderMessages = false;
  #shownMessages: readonly LiveMessage[] | null = null;
  /** By target. Messages are in `#posts`. */
  readonly #pending = new Map<string, LocalOperation[]>();
  #posts: LocalOperation[] = [];
  /** In the log, and not yet reached by the mirror. */
  #accepted: LocalOperation[] = [];
  #seq: Seq = 0;

  constructor() {
    this.objects = new LayeredMap<LiveObject>(this.#world.objects, this.#queue);
    this.users = new LayeredMap<LiveUser>(this.#users, this.#queue);
  }

  get seq(): Seq {
    return this.#seq;
  }

  /** The newest messages, oldest first. The same list until one changes. */
  get messages(): readonly LiveMessage[] {
    this.#shownMessages ??= [
      ...this.#messages.slice(-MESSAGES_SHOWN_MAX),
      ...this.#posts.map(({ op }) => {
        const { id, userId, text, kind } = op as ChatPostOperation;
        return { id, userId, text, kind, seq: 0 };
      }),
    ];
    return this.#shownMessages;
  }

  /** Whether the server knows avatars or messages that the mirror cannot show by itself. */
  get isIncomplete(): boolean {
    const lacksMessages = this.#hasOlderMessages && this.#messages.length < MESSAGES_SHOWN_MAX;
    return lacksMessages || this.#unnamed.size > 0;
  }

  /** Expects no names any more for the avatars that have none: their people do not exist. */
  giveUpNames(): void {
    for (const id of this.#unnamed) this.#strangers.add(id);
    this.#unnamed.clear();
  }

  /** Replaces the world, and shows the pending operations above it. */
  load(state: MirrorState): void {
    this.#queue.hold(() => this.#load(state));
  }

  #load(state: MirrorState): void {
    const before = new Map(this.objects);
    const objects = this.#world.objects;
    objects.clear();
    for (const { spaceId, createdAt, updatedAt, ...object } of state.objects)
      objects.set(object.id, { ...object, createdSeq: timeToSeq(createdAt) });
    this.#seq = state.seq;
    for (const target of this.#settle(state.seq).keys()) this.#showPending(target);
    this.#loadUsers(state, { isWhole: true });
    this.#loadMessages(state);
    for (const target of this.#pending.keys()) this.#showPending(target);
    for (const [id, object] of before) {
      const now = this.objects.get(id);
      if (now !== undefined && isSame(now, object)) this.#keepObject(id, object);
      else this.objects.tell(id, object);
    }
    for (const id of this.objects.keys()) if (!before.has(id)) this.objects.tell(id, undefined);
  }

  /** Takes names, avatars and messages of a state. @returns false if the state is older than the mirror: nothing is taken */
  loadPeople(state: Pick<MirrorState, 'seq' | 'users' | 'chat'>): boolean {
    if (state.seq < this.#seq) return false;
    this.#queue.hold(() => {
      this.#loadUsers(state, { isWhole: false });
      this.#loadMessages(state);
    });
    return true;
  }

  /** Moves the world forward by the entry that follows it. */
  apply(change: Omit<SentChange, 'prev'>): void {
    this.#queue.hold(() => this.#apply(change));
  }

  #apply({ seq, actor, ops: sent }: Omit<SentChange, 'prev'>): void {
    const ops = [...expandOperations(sent)];
    const touched = new Set(ops.filter(({ op }) => !op.startsWith('chat.')).map(targetOf));
    const before = new Map([...touched].map((target) => [target, this.#find(target)]));
    // Replay changes items in place, and listeners may keep the old ones.
    for (const target of touched) this.#copy(target);
    replayEntry(this.#world, { seq, prev: 0, actor, ops, waits: false });
    this.#world.removed.clear();
    this.#seq = seq;
    for (const op of ops) if (op.op === 'chat.post' || op.op === 'chat.delete') this.#applyMessage(op, seq);
    for (const [target, item] of this.#settle(seq)) if (!before.has(target)) before.set(target, item);
    for (const target of touched) {
      const [kind, id] = splitTarget(target);
      if (kind === 'user') this.#showUser(id);
    }
    for (const target of before.keys()) this.#showPending(target);
    for (const [target, item] of before) this.#tell(target, item);
  }

  /** Shows an operation of this client. Also after the operation has changed. */
  show(local: LocalOperation): void {
    const target = targetOf(local.op);
    if (local.op.op === 'chat.post') {
      if (this.#posts.includes(local)) return;
      this.#posts.push(local);
      this.#tellMessages();
      return;
    }
    const before = this.#find(target);
    const pending = this.#pending.get(target) ?? [];
    this.#pending.set(target, pending);
    if (!pending.includes(local)) pending.push(local);
    // An older operation may come back.
    pending.sort((a, b) => a.n - b.n);
    this.#showPending(target);
    this.#tell(target, before);
  }

  /** The server has the operation. It stays visible until the mirror has reached its seq. */
  accept(local: LocalOperation, seq: Seq): void {
    local.seq = seq;
    if (seq <= this.#seq) this.hide(local);
    else this.#accepted.push(local);
  }

  /** Stops showing an operation: the server has refused it. */
  hide(local: LocalOperation): void {
    const target = targetOf(local.op);
    const before = this.#find(target);
    this.#drop(local, target);
    this.#showPending(target);
    this.#tell(target, before);
  }

  /** The seq of the newest change of an operation's target; 0: none. A message that is shown has its own, and so has a deletion whose object is gone. */
  seqOf({ op, id }: Operation & { id: string }, own: Seq): Seq {
    if (op === 'chat.post') return this.#messages.some(({ seq }) => seq === own) ? own : 0;
    const item = (op === 'user.patch' ? this.#world.avatars : this.#world.objects).get(id);
    return item?.seq ?? (op === 'delete' ? own : 0);
  }

  /** The weakest level of this client's operations on the object that are not in the log; undefined: there are none. */
  levelOf(id: string): Durability | undefined {
    const open = this.#pending.get(`object ${id}`)?.filter(({ seq }) => seq === null) ?? [];
    return LEVELS.find((one) => open.some(({ level = 'local' }) => level === one));
  }

  /** Stops showing operations that the mirror has reached. @returns their targets, as they were shown */
  #settle(seq: Seq): Map<string, LiveObject | LiveUser | undefined> {
    const before = new Map<string, LiveObject | LiveUser | undefined>();
    if (this.#accepted.length === 0) return before;
    // Without a seq, it is sent again.
    const isReached = (local: LocalOperation) => local.seq !== null && local.seq <= seq;
    const reached = this.#accepted.filter(isReached);
    if (reached.length === 0) return before;
    this.#accepted = this.#accepted.filter((local) => !isReached(local));
    for (const local of reached) {
      const target = targetOf(local.op);
      if (!before.has(target)) before.set(target, this.#find(target));
      this.#drop(local, target);
    }
    return before;
  }

  #drop(local: LocalOperation, target: string): void {
    if (local.op.op === 'chat.post') {
      if (!this.#posts.includes(local)) return;
      this.#posts = this.#posts.filter((post) => post !== local);
      this.#tellMessages();
      return;
    }
    const pending = this.#pending.get(target)?.filter((other) => other !== local) ?? [];
    if (pending.length === 0) this.#pending.delete(target);
    else this.#pending.set(target, pending);
  }

  #showPending(target: string): void {
    const [kind, id] = splitTarget(target);
    const pending = this.#pending.get(target);
    if (kind === 'object') this.objects.setPending(id, pending && this.#foldObject(id, pending));
    else if (kind === 'user') this.users.setPending(id, pending && this.#foldUser(id, pending));
  }

  #foldObject(id: string, pending: LocalOperation[]): LiveObject | null {
    const confirmed = this.#world.objects.get(id);
    const world = makeWorld();
    if (confirmed !== undefined)
      world.objects.set(id, { ...confirmed, properties: cloneJson(confirmed.properties) });
    foldAll(world, pending);
    const object = world.objects.get(id);
    return object === undefined
      ? null
      : {
          ...object,
          seq: confirmed?.seq ?? 0,
          createdSeq: confirmed?.createdSeq ?? 0,
          createdBy: confirmed?.createdBy ?? null,
          updatedBy: confirmed?.updatedBy ?? null,
        };
  }

  #foldUser(id: string, pending: LocalOperation[]): LiveUser {
    const confirmed = this.#users.get(id);
    const world = makeWorld();
    if (confirmed !== undefined)
      world.avatars.set(id, { ...confirmed, properties: cloneJson(confirmed.properties) });
    foldAll(world, pending);
    const name = this.#names.get(id) ?? { displayName: id, avatarUrl: null };
    return { ...(world.avatars.get(id) as ReplayAvatar), ...name, seq: confirmed?.seq ?? 0 };
  }

  #showUser(id: string): void {
    const avatar = this.#world.avatars.get(id);
    const name = this.#names.get(id);
    if (avatar !== undefined && name === undefined && !this.#strangers.has(id)) this.#unnamed.add(id);
    else this.#unnamed.delete(id);
    if (avatar === undefined || name === undefined) this.#users.delete(id);
    else this.#users.set(id, { ...avatar, ...name });
  }

  #loadUsers({ users }: Pick<MirrorState, 'users'>, { isWhole }: { isWhole: boolean }): void {
    const before = new Map(this.users);
    const avatars = this.#world.avatars;
    this.#names = new Map(users.map(({ id, displayName, avatarUrl }) => [id, { displayName, avatarUrl }]));
    if (isWhole) {
      avatars.clear();
      this.#unnamed.clear();
    }
    for (const { displayName, avatarUrl, ...avatar } of users)
      if (isWhole || avatar.seq > (avatars.get(avatar.id)?.seq ?? 0)) avatars.set(avatar.id, avatar);
    // An avatar without a name stays: the server may know the person a little later.
    for (const id of new Set([...before.keys(), ...this.#names.keys()])) {
      const shown = before.get(id);
      this.#showUser(id);
      const now = this.#users.get(id);
      if (shown !== undefined && now !== undefined && isSame(now, shown)) this.#users.set(id, shown);
      this.#showPending(`user ${id}`);
      this.users.tell(id, shown);
    }
  }

  #loadMessages({ seq, chat }: Pick<MirrorState, 'seq' | 'chat'>): void {
    // A spilled message of this client is one of `#posts` already.
    const isOwn = (message: LiveMessage) =>
      message.seq > seq && this.#posts.some(({ op }) => isSamePost(op, message));
    this.#messages = chat.map(({ createdAt, ...message }) => message).filter((message) => !isOwn(message));
    this.#hasOlderMessages = chat.length >= MESSAGES_SHOWN_MAX;
    this.#tellMessages();
  }

  #applyMessage(op: Operation & { op: 'chat.post' | 'chat.delete' }, seq: Seq): void {
    if (op.op === 'chat.delete') this.#messages = this.#messages.filter(({ id }) => id !== op.id);
    else if (!this.#messages.some(({ id }) => id === op.id)) {
      const { id, userId, text, kind } = op;
      this.#messages.push({ id, userId, text, kind, seq });
      if (this.#messages.length > MESSAGES_KEPT_MAX) {
        this.#messages = this.#messages.slice(-MESSAGES_KEPT_MAX);
        this.#hasOlderMessages = true;
      }
      // The stream can be faster than the answer, and a message must not show twice.
      const post = this.#posts.find((own) => (own.seq ?? seq) === seq && isSamePost(own.op, op));
      if (post !== undefined) this.#posts = this.#posts.filter((other) => other !== post);
    }
    this.#tellMessages();
  }

  #tellMessages(): void {
    const before = this.#shownMessages ?? [];
    this.#shownMessages = null;
    const now = this.messages;
    const [ids, idsBefore] = [now, before].map((list) => new Set(list.map(({ id }) => id)));
    for (const message of before) if (!ids?.has(message.id)) this.chatEvents.emit('leave', message);
    for (const message of now) if (!idsBefore?.has(message.id)) this.chatEvents.emit('enter', message);
    this.chatEvents.emit('change');
  }

  /** The same value for the same object: listeners and components need not look at it again. */
  #keepObject(id: string, object: LiveObject): void {
    if (!this.#pending.has(`object ${id}`)) this.#world.objects.set(id, object as ReplayObject);
  }

  #find(target: string): LiveObject | LiveUser | undefined {
    const [kind, id] = splitTarget(target);
    return kind === 'object' ? this.objects.get(id) : this.users.get(id);
  }

  #copy(target: string): void {
    const [kind, id] = splitTarget(target);
    const items: Map<string, { properties: JsonObject }> =
      kind === 'object' ? this.#world.objects : this.#world.avatars;
    const item = items.get(id);
    if (item !== undefined) items.set(id, { ...item, properties: cloneJson(item.properties) });
  }

  #tell(target: string, before: LiveObject | LiveUser | undefined): void {
    const [kind, id] = splitTarget(target);
    if (kind === 'object') this.objects.tell(id, before as LiveObject | undefined);
    else if (kind === 'user') this.users.tell(id, before as LiveUser | undefined);
  }
}

function splitTarget(target: string): [kind: string, id: string] {
  const at = target.indexOf(' ');
  return [target.slice(0, at), target.slice(at + 1)];
}

function makeWorld(): ReplayWorld {
  return { objects: new Map(), avatars: new Map(), removed: new Map(), people: null };
}

/** All in one entry, because a condition compares with the seq before the client's own changes. */
function foldAll(world: ReplayWorld, pending: LocalOperation[]): void {
  const ops = pending.map(({ op }) => op);
  replayEntry(world, { seq: Number.MAX_SAFE_INTEGER, prev: 0, actor: null, ops, waits: false });
}

function isSame<Item extends { seq: Seq }>(a: Item, b: Item): boolean {
  return a.seq === b.seq && a.seq !== 0 && JSON.stringify(a) === JSON.stringify(b);
}

function isSamePost(own: Operation, { text, userId, kind }: Omit<LiveMessage, 'id' | 'seq'>): boolean {
  return (
    own.op === 'chat.post' &&
    own.text === text &&
    (own.userId === null || own.userId === userId) &&
    own.kind === kind
  );
}
