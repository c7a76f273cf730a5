/**
 * A Socket.IO server whose world is kept: people spawn and move objects, everybody sees it at once, and what was moved is in
 * Postgres a moment later. `node docs/examples/socket-io/server.js`, with DATABASE_URL, REDIS_HOST, REDIS_PORT, REDIS_PASSWORD.
 */
import { Server } from 'socket.io';
import { BatchProcessor, CacheManager, PersistenceLayer } from 'worldkeep';

const tenantId = process.env.DEFAULT_TENANT_ID || 'default';

// Initialize
const persistence = new PersistenceLayer({
  databaseUrl: process.env.DATABASE_URL,
  tenantId,
});

const cache = new CacheManager({
  host: process.env.REDIS_HOST,
  port: process.env.REDIS_PORT,
  password: process.env.REDIS_PASSWORD,
  tenantId,
});

const batchProcessor = new BatchProcessor(persistence, cache);

// Connect
await persistence.connect();

const io = new Server({ cors: { origin: process.env.CORS_ORIGIN || false } });

// Use in Socket.IO. Who a client says it is, is believed here: a real server asks for a credential first.
io.on('connection', (socket) => {
  socket.on('user-spawn', (data, reply) =>
    answer(reply, async () => {
      // Save to database
      const user = await persistence.upsertUser(data);

      // Cache session
      const sessionData = { socketId: socket.id, spawnedAt: new Date().toISOString() };
      await cache.setUserSession(user.id, sessionData);
      socket.data.userId = user.id;
      return { user };
    }),
  );

  socket.on('object-move', (data, reply) =>
    answer(reply, async () => {
      // Batch updates for efficiency
      const added = batchProcessor.add('objectUpdates', { ...data, updatedBy: socket.data.userId ?? null });

      // Everybody else sees it before it is stored; who moved it is told when it is.
      socket.broadcast.emit('object-move', data);
      return await added;
    }),
  );

  socket.on('world-load', (reply) =>
    answer(reply, async () => {
      // A crowd that arrives at once loads it once a second.
      const cached = await cache.getCachedWorldState('main');
      if (cached !== null) return { worldState: cached };
      const worldState = await persistence.loadWorldState('main');
      await cache.cacheWorldState('main', worldState, 1);
      return { worldState };
    }),
  );
});

/** Tells the client how it went, where it wants to know. What one client sends wrong must not end the server for all. */
async function answer(reply, work) {
  const tell = typeof reply === 'function' ? reply : () => {};
  try {
    tell({ ok: true, ...(await work()) });
  } catch (error) {
    const { code = 'internal', message, errors = [] } = error;
    tell({ ok: false, code, message, errors });
  }
}

/** Takes nothing more, and ends when all that was added is stored. */
async function stop() {
  io.disconnectSockets(true);
  await io.close();
  await batchProcessor.shutdown();
  console.log(JSON.stringify({ event: 'stopped', ...batchProcessor.getStats() }));
  await cache.disconnect();
  await persistence.disconnect();
}
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    stop().catch((error) => {
      console.error(JSON.stringify({ event: 'failed', message: error.message }));
      process.exit(1);
    });
  });

io.listen(Number(process.env.PORT || 3_000));
io.httpServer.once('listening', () => {
  console.log(JSON.stringify({ event: 'listening', port: io.httpServer.address().port }));
});
