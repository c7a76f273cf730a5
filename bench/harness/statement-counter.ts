import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The number of requests and statements that reached Postgres. */
export interface StatementCounts {
  /** Requests to Neon: each is one transaction. */
  transactions: number;
  /** BEGIN and COMMIT do not count. */
  statements: number;
  /** Transactions that read a world's objects. */
  worldLoads: number;
}

export interface StatementCounter {
  /** The counter forwards requests to this address to the emulator. */
  url: string;
  read(): StatementCounts;
  close(): Promise<void>;
}

/** The SQL function that returns a page of a world's objects. */
const OBJECTS_READ = /\bobjects_page\(/;

/** A proxy in front of Neon's emulator that counts statements. It costs time: use it only where nothing is timed. */
export async function startStatementCounter(frontUrl: string): Promise<StatementCounter> {
  const agent = new Agent({ keepAlive: true });
  const counts: StatementCounts = { transactions: 0, statements: 0, worldLoads: 0 };
  const server = createServer((message, response) => {
    const pieces: Buffer[] = [];
    message.on('data', (piece: Buffer) => pieces.push(piece));
    message.on('end', () => {
      const body = Buffer.concat(pieces);
      count(body, counts);
      const { host: _, ...headers } = message.headers;
      const passing = request(frontUrl, { agent, method: message.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      passing.on('error', () => response.destroy());
      passing.end(body);
    });
    message.on('error', () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(frontUrl).pathname}`,
    read: () => ({ ...counts }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        agent.destroy();
      }),
  };
}

function count(body: Buffer, counts: StatementCounts): void {
  const { queries, ...single } = JSON.parse(body.toString('utf8')) as {
    queries?: { query: string }[];
    query?: string;
  };
  const texts = queries?.map(({ query }) => query) ?? [single.query ?? ''];
  counts.transactions++;
  counts.statements += texts.length;
  if (texts.some((text) => OBJECTS_READ.test(text))) counts.worldLoads++;
}
