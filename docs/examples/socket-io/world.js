import { randomUUID } from 'node:crypto';
import { AppError } from 'worldkeep';

const NO_EFFECT = {
  unknown_object: 'There is no such object.',
  conflict: 'There is such an object already, or it has changed.',
  rejected: 'The object would be too large to store.',
};

/**
 * The events that clients may send. Each event takes one object and may take an acknowledgement function, which gets
 * `{ok: true, …}` or `{ok: false, code, message, errors}`.
 */
export function serveWorld(io, { persistence, cache, batchProcessor }) {
  const underWay = new Set();
  let isClosed = false;
  /** The newest write that was told to everybody. A world older than it lacks what a new client can hear no more. */
  let toldSeq = 0;

  // Use in Socket.IO. The server believes clients who they are: a real server asks for a credential first.
  io.on('connection', (socket) => {
    answer('user-spawn', async (data) => {
      // Save to database
      const user = await persistence.upsertUser(data);

      // Cache session
      const sessionData = { socketId: socket.id, spawnedAt: new Date().toISOString() };
      await cache.setUserSession(user.id, sessionData);
      socket.data.userId = user.id;
      return { user };
    });

    // `ifSeq: 0`: there must be no such object yet.
    answer('object-create', (data) =>
      write(
        'object-create',
        'objectSaves',
        extend(data, { objectId: data?.objectId ?? randomUUID(), ifSeq: 0 }),
      ),
    );
    answer('object-move', (data) => write('object-move', 'objectUpdates', data));
    answer('object-delete', (data) => write('object-delete', 'objectDeletes', data));

    // A message above the limit of a person is refused. The others hear it under the id that it has in the world.
    answer('chat', async ({ text, kind, id } = {}) => {
      const { userId = null } = socket.data;
      const message = { text, ...(kind !== undefined && { kind }), ...(id !== undefined && { id }) };
      const posted = await batchProcessor.add('chatMessages', { ...message, spaceId: 'main', userId });
      const { seq, durability, messageId } = posted;
      toldSeq = Math.max(toldSeq, seq);
      socket.broadcast.emit('chat', { id: messageId, userId, text, kind: kind ?? 'text', seq });
      return { id: messageId, seq, durability };
    });

    answer('world-load', async () => {
      // A crowd that arrives together, while nobody writes, loads it once a second.
      const cached = await cache.getCachedWorldState('main');
      if (cached !== null && cached.seq >= toldSeq) return { worldState: cached };
      const worldState = await persistence.loadWorldState('main');
      await cache.cacheWorldState('main', worldState, 1);
      return { worldState };
    });

    /** Everybody else hears of a write when it is stored. Only its sender hears of a write that was refused or changed nothing. */
    async function write(event, type, data) {
      // Batch updates for efficiency
      const operation = extend(data, { spaceId: 'main', updatedBy: socket.data.userId });
      const { status = 'applied', seq, durability } = await batchProcessor.add(type, operation);
      if (status !== 'applied') return { ok: false, code: status, message: NO_EFFECT[status], errors: [] };

      toldSeq = Math.max(toldSeq, seq);
      // With the author that the server knows, not the one that the client claims.
      socket.broadcast.emit(event, operation);
      return { objectId: data.objectId, seq, durability };
    }

    /** Answers an event with what `work` returns. Whatever a client sends, the server goes on for all others. */
    function answer(event, work) {
      socket.on(event, async (...args) => {
        // The client asks again when it has reconnected.
        if (isClosed) return;
        const reply = typeof args.at(-1) === 'function' ? args.pop() : () => {};
        const working = work(args[0]).then((result) => ({ ok: true, ...result }), describe);
        underWay.add(working);
        reply(await working);
        underWay.delete(working);
      });
    }
  });

  return {
    /** From now on events are not answered. Resolves when the events before have been. */
    async close() {
      isClosed = true;
      await Promise.all(underWay);
    },
  };
}

/** Adds members to an object. Anything else stays as it is, and is refused where it is added. */
function extend(data, members) {
  return data?.constructor === Object ? { ...data, ...members } : data;
}

function describe(error) {
  if (error instanceof AppError) {
    const { code, message, errors } = error;
    return { ok: false, code, message, errors };
  }
  console.error(JSON.stringify({ event: 'bug', name: error?.name, message: error?.message }));
  return { ok: false, code: 'internal', message: 'The server had an unexpected error.', errors: [] };
}
