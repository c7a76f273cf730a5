import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What went to Postgres. */
export interface StatementCounts {
  /** Requests to Neon: each is one transaction. */
  transactions: number;
  /** Without BEGIN and COMMIT. */
  statements: number;
  /** Transactions that read a world's objects. */
  worldLoads: number;
}

export interface StatementCounter {
  /** Answers as the emulator behind it does. */
  url: string;
  read(): StatementCounts;
  close(): Promise<void>;
}

/** The function that gives a page of a world's objects. */
const OBJECTS_READ = /\bobjects_page\(/;

/** Stands before the front of Neon, passes all on, and counts: only where nothing is timed. */
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
