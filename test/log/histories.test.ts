import { describe } from 'vitest';
import { REDIS_WAYS } from '../redis-ways.ts';
import { describeHistories } from './histories.ts';
import { describeStateHistories } from './state-histories.ts';
import { describeStreamCuts } from './stream-cuts.ts';

/** A few of each; `npm run proof` runs many. */
describe('random histories of writes', () => describeHistories(3));
describe('random histories of states', () => describeStateHistories(6));
describe.each(REDIS_WAYS)('a stream, %s', (_, openWay) => describeStreamCuts(openWay, 60));
