import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';

/** Self-signed, for localhost and 127.0.0.1, until 2126. Only for tests: its key is public. */
export const CERTIFICATE_FILE = new URL('./tls/certificate.pem', import.meta.url).pathname;
const PAIR = {
  cert: readFileSync(CERTIFICATE_FILE),
  key: readFileSync(new URL('./tls/key.pem', import.meta.url)),
};
/** The first bytes of a Postgres client: it asks for TLS. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

export interface TlsProxy {
  port: number;
  close(): Promise<void>;
}

/** Adds TLS on 127.0.0.1 to a store without it. `postgres` begins in plain text, as its protocol requires. */
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
