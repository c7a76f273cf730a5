// `WORLDKEEP_URL=… WORLDKEEP_API_KEY=… node docs/examples/colyseus/server.js`
import { Server } from '@colyseus/core';
import { WebSocketTransport } from '@colyseus/ws-transport';
import { BoardRoom } from './room.js';

const { WORLDKEEP_URL: url, WORLDKEEP_API_KEY: token, SPACE: space = 'board', PORT = '2567' } = process.env;
if (!url || !token) throw new Error('Set WORLDKEEP_URL and WORLDKEEP_API_KEY.');

const server = new Server({ transport: new WebSocketTransport() });
server.define('board', BoardRoom, { space, worldkeep: { url, token } });
await server.listen(Number(PORT), '127.0.0.1');
console.log(JSON.stringify({ event: 'listening', port: Number(PORT) }));
