import { describe } from 'vitest';
import { describeApi } from './api.ts';
import { describeConnections } from './cases/connections.ts';
import { startNode } from './node-target.ts';
import { OVER_TCP } from './runtimes.ts';

describe('HTTP, a process on Node with its stores over TCP', () => {
  const runtime = { ...OVER_TCP, start: startNode };
  describeApi(runtime);
  describeConnections(runtime);
});
