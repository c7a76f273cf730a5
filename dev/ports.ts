import { type AddressInfo, createServer } from 'node:net';

const PORT_MAX = 65_535;
const PORTS_TRIED_MAX = 200;

/** @returns the port that was bound, or null where it is taken (or may not be bound by this user). */
function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}

/**
 * Finds a port of 127.0.0.1 that is free now.
 * @param preferred the port to begin at; 0 lets the system choose.
 * @param taken ports promised to others that are not listening yet.
 * @returns the preferred port, or the next free one above it.
 */
export async function findFreePort(
  preferred: number,
  taken: ReadonlySet<number> = new Set(),
): Promise<number> {
  for (let tried = 0; tried < PORTS_TRIED_MAX; tried++) {
    const port = preferred === 0 ? 0 : preferred + tried;
    if (port > PORT_MAX) break;
    if (port !== 0 && taken.has(port)) continue;
    const bound = await tryPort(port);
    if (bound !== null && !taken.has(bound)) return bound;
  }
  throw new Error(
    `No port of 127.0.0.1 from ${preferred} on is free: choose another with --port, or end what holds them.`,
  );
}
