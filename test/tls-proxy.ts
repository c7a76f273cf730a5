import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';

/** Signed by itself, for localhost and 127.0.0.1, until 2126. It is for tests alone: everybody has its key. */
export const CERTIFICATE_FILE = new URL('./tls/certificate.pem', import.meta.url).pathname;
const PAIR = {
  cert: readFileSync(CERTIFICATE_FILE),
  key: readFileSync(new URL('./tls/key.pem', import.meta.url)),
};
/** What a client of Postgres sends before anything else, to ask for TLS. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

export interface TlsProxy {
  port: number;
  close(): Promise<void>;
}

/** TLS on 127.0.0.1 before a store that has none. `postgres` begins in plain text, as its protocol does. */
export async function startTlsProxy(kind: 'postgres' | 'redis', targetPort: number): Promise<TlsProxy> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket));
    return socket;
  };
  const join = (client: Socket) => {
    const store = keep(connect(targetPort, '127.0.0.1'));
    client.pipe(store).pipe(client);
    client.once('close', () => store.destroy());
    store.once('close', () => client.destroy());
  };
  const server =
    kind === 'redis'
      ? createTlsServer(PAIR, (client) => join(keep(client)))
      : createServer((client) => {
          keep(client).once('data', (request) => {
            if (!request.equals(SSL_REQUEST)) return client.destroy();
            client.write('S');
            join(keep(new TLSSocket(client, { isServer: true, ...PAIR })));
          });
        });
  server.on('connection', keep).on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
