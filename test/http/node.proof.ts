import { describe } from 'vitest';
import { describeContract, describeFigures } from './api.ts';
import { describeOutages } from './cases/outages.ts';
import { startNode } from './node-target.ts';
import { OVER_TCP } from './runtimes.ts';

describe('HTTP, a process on Node with its stores over TCP', () => {
  const runtime = { ...OVER_TCP, start: startNode };
  // `npm test` runs the other cases here.
  describeContract(runtime);
  describeFigures(runtime);
  describeOutages(runtime);
});
