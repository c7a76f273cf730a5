/**
 * A Socket.IO server whose world is kept: people create, move and delete objects, and everybody sees it when it is stored.
 * `node docs/examples/socket-io/server.js`, with DATABASE_URL, REDIS_HOST, REDIS_PORT, REDIS_PASSWORD. PERSISTENCE_ENABLED=false needs none.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { BatchProcessor, CacheManager, Config, PersistenceLayer } from 'worldkeep';
import { serveWorld } from './world.js';

const { REDIS_HOST, REDIS_PORT, REDIS_PASSWORD } = process.env;

try {
  await start();
} catch (error) {
  console.error(`The server could not start. ${error.message}`);
  process.exit(1);
}

async function start() {
  // Feature flags
  const config = Config.parse(process.env);
  const {
    persistenceEnabled,
    cacheEnabled,
    batchProcessingEnabled,
    database,
    defaultTenantId: tenantId,
  } = config;

  // Initialize
  const persistence = new PersistenceLayer({
    enabled: persistenceEnabled,
    databaseUrl: database?.url,
    tenantId,
  });
  const cache = new CacheManager({
    enabled: cacheEnabled,
    host: REDIS_HOST,
    port: REDIS_PORT,
    password: REDIS_PASSWORD,
    tenantId,
  });

  // Connect
  await persistence.connect();
  if (!(await cache.set('server', 'started', Date.now())))
    throw new Error('Redis stores nothing: check REDIS_HOST, REDIS_PORT and REDIS_PASSWORD.');

  // `commitsAlways`: an update is acknowledged when the database has it, with what became of it.
  const batchProcessor = new BatchProcessor(persistence, cache, {
    enabled: batchProcessingEnabled,
    log: { commitsAlways: true },
  });

  const httpServer = createServer();
  const io = new Server(httpServer, { cors: { origin: process.env.CORS_ORIGIN || false } });
  const world = serveWorld(io, { persistence, cache, batchProcessor });
  httpServer.listen(Number(process.env.PORT || 3_000), process.env.HOST || '127.0.0.1');
  await once(httpServer, 'listening');
  const { address, port } = httpServer.address();
  console.log(JSON.stringify({ event: 'listening', address, port }));

  /** Stores and acknowledges what was sent, and ends the connections. Clients reconnect by themselves. */
  async function stop() {
    const closed = world.close();
    await batchProcessor.shutdown();
    await closed;
    // Not `io.disconnectSockets()`, after which a client does not reconnect.
    await io.close();
    console.log(JSON.stringify({ event: 'stopped', ...batchProcessor.getStats() }));
    await cache.disconnect();
    await persistence.disconnect();
  }
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, () => {
      stop().catch((error) => {
        console.error(`The server did not stop as it should. ${error.message}`);
        process.exit(1);
      });
    });
}
