import { isFull, type RedisFacts } from '../../redis/inspect.ts';
import { type Finding, judgeClock, ok, unknown, warning, wrong } from './finding.ts';

const MIB = 1024 * 1024;
/** The share of its memory from which a Redis is nearly full. */
const NEARLY_FULL = 0.8;

/** The meaning of a Redis's settings for its data. */
export function judgeRedis(facts: RedisFacts, kind: 'upstash' | 'tcp'): Finding[] {
  return [
    judgeEviction(facts, kind),
    judgeMemory(facts, kind),
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
      `Redis evicts (maxmemory-policy ${maxmemoryPolicy}), and would lose what is queued: no write is taken`,
      'Set maxmemory-policy noeviction in redis.conf, or CONFIG SET maxmemory-policy noeviction.',
    );
  return unknown(
    id,
    `whether Redis evicts cannot be known from here: it ${kind === 'upstash' ? 'does not tell its settings' : 'does not answer CONFIG GET'}`,
    kind === 'upstash'
      ? "Look in the Upstash console at the database's details: Eviction must be off."
      : 'Ask its administrator: maxmemory-policy must be noeviction.',
  );
}

function judgeMemory({ memory }: RedisFacts, kind: 'upstash' | 'tcp'): Finding {
  const id = 'redis.memory';
  if (memory === null)
    return unknown(
      id,
      'how full Redis is cannot be known from here: it does not answer INFO',
      kind === 'upstash' ? 'Look at its data size in the Upstash console.' : 'Ask its administrator.',
    );
  const { usedBytes, maxBytes } = memory;
  const used = `${Math.ceil(usedBytes / MIB)} MiB`;
  if (maxBytes === 0) return ok(id, `Redis uses ${used}, and is given no limit`);
  const message = `Redis uses ${used} of ${Math.ceil(maxBytes / MIB)} MiB`;
  if (usedBytes < NEARLY_FULL * maxBytes) return ok(id, message);
  const remedy =
    'Give it more memory (maxmemory). Drains continue: see log.backlog for spaces that wait too long.';
  return isFull(memory)
    ? wrong(id, `${message}: it is full, and writes are refused`, remedy)
    : warning(id, `${message}: when it is full, writes are refused`, remedy);
}

function judgeDurability({ appendonly }: RedisFacts, kind: 'upstash' | 'tcp'): Finding {
  const id = 'redis.durability';
  if (appendonly === 'yes') return ok(id, 'Redis writes its append-only file');
  if (appendonly !== null)
    return warning(
      id,
      'Redis keeps no append-only file: what is queued and not committed is lost when it ends',
      'Set appendonly yes in redis.conf, or CONFIG SET appendonly yes.',
    );
  return kind === 'upstash'
    ? ok(id, 'Upstash keeps what it is given on disk')
    : unknown(
        id,
        'whether Redis keeps what it is given cannot be known from here: it does not answer CONFIG GET',
        'Ask its administrator: appendonly must be yes.',
      );
}
