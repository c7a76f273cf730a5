import { describe } from 'vitest';
import { REDIS_WAYS } from '../redis-ways.ts';
import { describeHistories } from './histories.ts';
import { describeStateHistories } from './state-histories.ts';
import { describeStreamCuts } from './stream-cuts.ts';

/** Fewer over HTTP: there, each subscription is a separate request on its own connection, which takes longer. */
const CUTS: Record<string, number> = { 'ioredis over TCP': 1_000, 'Upstash over HTTP': 200 };

describe('many random histories of writes', () => describeHistories(15));
describe('many random histories of states', () => describeStateHistories(40));
describe.each(REDIS_WAYS)('a stream, %s', (name, openWay) => describeStreamCuts(openWay, CUTS[name] ?? 0));
