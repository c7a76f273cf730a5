import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import type { StackValues } from '../dev/stack.ts';

/** The addresses and secrets of the stack that this test run has started. */
export function stack(): StackValues {
  return {
    databaseUrl: inject('databaseUrl'),
    migrationUrl: inject('migrationUrl'),
    superuserUrl: inject('superuserUrl'),
    databaseHttpUrl: inject('databaseHttpUrl'),
    redisUrl: inject('redisUrl'),
    redisRestUrl: inject('redisRestUrl'),
    redisRestToken: inject('redisRestToken'),
    qstashUrl: inject('qstashUrl'),
    qstashToken: inject('qstashToken'),
    qstashCurrentSigningKey: inject('qstashCurrentSigningKey'),
    qstashNextSigningKey: inject('qstashNextSigningKey'),
    metricsToken: inject('metricsToken'),
    sessionSigningKey: inject('sessionSigningKey'),
  };
}

/** An id that no other test has: `PREFIX-` and 12 hex digits. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}
