import { createServer } from 'node:net';

const PORT_MAX = 65_535;
const PORTS_TRIED_MAX = 200;
/**
 * Ports that systems do not give to outgoing connections (from 32,768 on Linux). While a server restarts, a connection of another
 * program may get a port of that range, and the server cannot listen there again.
 */
const ANY_PORT_FROM = 20_000;
const ANY_PORT_TO = 32_000;

/** @returns whether this user may listen there now */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function chooseAnyPort(): number {
  return ANY_PORT_FROM + Math.floor(Math.random() * (ANY_PORT_TO - ANY_PORT_FROM));
}

/**
 * Finds a port of 127.0.0.1 that is free now.
 * @param preferred the port to begin at; 0: any port below the range of outgoing connections.
 * @param taken ports promised to others that are not listening yet.
 * @returns the preferred port, or the next free one above it.
 */
export async function findFreePort(
  preferred: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<number> {
  for (let tried = 0; tried < PORTS_TRIED_MAX; tried++) {
    const port = preferred === 0 ? chooseAnyPort() : preferred + tried;
    if (port > PORT_MAX) break;
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error(
    `No port of 127.0.0.1 from ${preferred} on is free: choose another with --port, or end what holds them.`,
  );
}
