import { describe } from 'vitest';
import { describeApi } from './api.ts';
import { startNode } from './node-target.ts';
import { OVER_TCP } from './runtimes.ts';

describe('HTTP, a process on Node with its stores over TCP', () => {
  describeApi({ ...OVER_TCP, start: startNode });
});
