import { createReadStream, createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeDir, removeDir } from '../harness/temporary-dir.ts';

/** A folder behind HTTP and nothing else: no login, no check, no database. Its parent gets the port. */
const dir = makeDir();
const file = join(dir, 'file');
const server = createServer(async (request, response) => {
  if (request.method === 'PUT') {
    await pipeline(request, createWriteStream(file));
    response.writeHead(201).end();
  } else await pipeline(createReadStream(file), response);
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => {
  removeDir(dir);
  process.exit();
});
