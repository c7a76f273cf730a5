import type { RedisFacts } from '../../redis/inspect.ts';
import { type Finding, judgeClock, ok, unknown, wrong } from './finding.ts';

/** What a Redis' own words mean for what is kept in it. */
export function judgeRedis(facts: RedisFacts, kind: 'upstash' | 'tcp'): Finding[] {
  return [
    judgeEviction(facts, kind),
    judgeDurability(facts, kind),
    judgeClock('redis.clock', 'Redis', facts),
  ];
}

function judgeEviction({ maxmemoryPolicy }: RedisFacts, kind: 'upstash' | 'tcp'): Finding {
  const id = 'redis.eviction';
  if (maxmemoryPolicy === 'noeviction') return ok(id, 'Redis evicts nothing');
  if (maxmemoryPolicy !== null)
    return wrong(
      id,
      `Redis evicts (maxmemory-policy ${maxmemoryPolicy}): what is only there can be lost when its memory is full`,
      'Set maxmemory-policy noeviction in redis.conf, or CONFIG SET maxmemory-policy noeviction.',
    );
  return unknown(
    id,
    `whether Redis evicts cannot be known from here: it ${kind === 'upstash' ? 'does not tell its settings' : 'does not answer CONFIG GET'}`,
    kind === 'upstash'
      ? "Look in the Upstash console at the database's details: Eviction must be off."
      : 'Ask whoever runs it: maxmemory-policy must be noeviction.',
  );
}

function judgeDurability({ appendonly }: RedisFacts, kind: 'upstash' | 'tcp'): Finding {
  const id = 'redis.durability';
  if (appendonly === 'yes') return ok(id, 'Redis writes its append-only file');
  if (appendonly !== null)
    return wrong(
      id,
      'Redis keeps no append-only file: what is only there is lost when it ends',
      'Set appendonly yes in redis.conf, or CONFIG SET appendonly yes.',
    );
  return kind === 'upstash'
    ? ok(id, 'Upstash keeps what it is given on disk')
    : unknown(
        id,
        'whether Redis keeps what it is given cannot be known from here: it does not answer CONFIG GET',
        'Ask whoever runs it: appendonly must be yes.',
      );
}
