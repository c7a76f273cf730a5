import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CONFIG_VARIABLES, Config, parseConfig, parseQueueConfig } from './config.ts';

const DATABASE_URL = 'postgresql://user:hunter2hunter2@db.example/world';
const UPSTASH = {
  UPSTASH_REDIS_REST_URL: 'https://redis.example',
  UPSTASH_REDIS_REST_TOKEN: 'hunter2hunter2',
};
const QSTASH = {
  QSTASH_TOKEN: 'hunter2hunter2',
  QSTASH_CURRENT_SIGNING_KEY: 'hunter2-current',
  QSTASH_NEXT_SIGNING_KEY: 'hunter2-next',
};
const SIGNING_KEY = 'hunter2-'.repeat(4);

const REDIS_URL = 'redis://:hunter2@h';

describe('Config', () => {
  it('needs a database and nothing else', () => {
    expect(parseConfig({ DATABASE_URL })).toEqual({
      server: { host: '127.0.0.1', port: 8_080, shutdownTimeoutMs: 10_000 },
      database: { url: DATABASE_URL, poolSize: 20, httpUrl: null, timeoutMs: 15_000 },
      redis: null,
      bucket: null,
      qstash: null,
      publicUrl: null,
      drainScheduleCron: '* * * * *',
      cleanupScheduleCron: '17 * * * *',
      refreshScheduleCron: '7 * * * *',
      sealScheduleCron: '* * * * *',
      persistenceEnabled: true,
      cacheEnabled: false,
      batchProcessingEnabled: false,
      analyticsEnabled: true,
      memoryFallbackEnabled: false,
      auditTransforms: false,
      defaultTenantId: 'default',
      defaultSpaceId: 'main',
      metricsToken: null,
      sessionSigning: null,
      corsAllowedOrigins: [],
      logLevel: 'info',
      queryLoggingEnabled: false,
      limits: {
        idempotencyTtlSeconds: 3_600,
        jsonBodyBytesMax: 1_048_576,
        stateBodyBytesMax: 33_554_432,
        bodyTimeoutMs: 8_000,
        apiKeyCacheSeconds: 5,
        readyzTimeoutMs: 1_000,
        healthCacheSeconds: 3,
        rateLimitRequestsPerMinute: 12_000,
        rateLimitAloneRequestsPerMinute: 6_000,
        rateLimitUnknownCredentialsPerMinute: 600,
        rateLimitUpdatesPerMinute: 1_200_000,
        rateLimitChatPerMinute: 30,
        assetBytesMax: 99_614_720,
        assetFileBytesMax: 2_147_483_648,
        assetQuotaBytes: 10_737_418_240,
        backlogBytesMax: 67_108_864,
        backlogEntriesMax: 100_000,
        backlogAgeSecondsMax: 900,
        deadLetterRetentionDays: 30,
        eventRetentionDays: 30,
        chatDeletedRetentionDays: 7,
        spaceDeletedRetentionDays: 7,
        incidentRetentionDays: 90,
        sessionRetentionDays: 7,
        streamHeartbeatSeconds: 20,
      },
    });
  });

  it('takes the environment of a server with its own Redis', () => {
    const config = parseConfig({
      DATABASE_URL: 'postgresql://user:password@localhost:5432/3dworld',
      DATABASE_POOL_SIZE: '20',
      REDIS_HOST: 'localhost',
      REDIS_PORT: '6379',
      REDIS_PASSWORD: 'your-password',
      PERSISTENCE_ENABLED: 'true',
      CACHE_ENABLED: 'true',
      BATCH_PROCESSING_ENABLED: 'true',
    });
    expect(config.redis).toEqual({
      kind: 'tcp',
      host: 'localhost',
      port: 6_379,
      username: null,
      password: 'your-password',
      database: 0,
      tls: false,
      timeoutMs: 2_000,
      variables: { address: 'REDIS_HOST', password: 'REDIS_PASSWORD' },
    });
    expect(config.cacheEnabled).toBe(true);
  });

  it.each([
    ['redis://h', { host: 'h', port: 6_379, username: null, password: null, database: 0, tls: false }],
    ['redis://h:7000/', { host: 'h', port: 7_000, username: null, password: null, database: 0, tls: false }],
    [
      'rediss://ann:p%40ss@[::1]:6380/12',
      { host: '::1', port: 6_380, username: 'ann', password: 'p@ss', database: 12, tls: true },
    ],
  ])('reads a Redis out of its URL: %s', (url, address) => {
    expect(parseConfig({ DATABASE_URL, REDIS_URL: url }).redis).toEqual({
      kind: 'tcp',
      ...address,
      timeoutMs: 2_000,
      variables: { address: 'REDIS_URL', password: 'REDIS_URL' },
    });
  });

  it('turns caching and batching on where there is a Redis', () => {
    const config = parseConfig({ DATABASE_URL, ...UPSTASH });
    expect(config).toMatchObject({ cacheEnabled: true, batchProcessingEnabled: true });
    expect(config.redis).toMatchObject({ kind: 'upstash', url: 'https://redis.example' });
  });

  it('reads every word for on and off, and an empty value as none', () => {
    const read = (AUDIT_TRANSFORMS: string) =>
      parseConfig({ DATABASE_URL, AUDIT_TRANSFORMS }).auditTransforms;
    expect(['true', '1', 'on', 'YES', ' True '].map(read)).toEqual([true, true, true, true, true]);
    expect(['false', '0', 'off', 'No', ''].map(read)).toEqual([false, false, false, false, false]);
  });

  it('takes plain HTTP on this machine only', () => {
    for (const host of ['localhost:8080', '127.0.0.1:8080', '[::1]:8080'])
      expect(parseConfig({ DATABASE_URL, DATABASE_HTTP_URL: `http://${host}/sql` }).database?.httpUrl).toBe(
        `http://${host}/sql`,
      );
    expect(() => parseConfig({ DATABASE_URL, DATABASE_HTTP_URL: 'http://127.0.0.1.example/sql' })).toThrow(
      'DATABASE_HTTP_URL',
    );
  });

  it('[F6d] takes the environment of a game server in memory, which names no store', () => {
    const off = { PERSISTENCE_ENABLED: 'false' };
    const config = parseConfig(off);
    const { persistenceEnabled, cacheEnabled, batchProcessingEnabled, database } = config;
    expect({ persistenceEnabled, cacheEnabled, batchProcessingEnabled, database }).toEqual({
      persistenceEnabled: false,
      cacheEnabled: false,
      batchProcessingEnabled: false,
      database: null,
    });
    expect(parseConfig({ ...off, BATCH_PROCESSING_ENABLED: 'true' }).batchProcessingEnabled).toBe(true);
    // The flag alone changes, and the variables of the database stay.
    expect(parseConfig({ ...off, DATABASE_URL })).toMatchObject({
      persistenceEnabled: false,
      database: null,
    });
    expect(() => parseConfig({ ...off, DATABASE_URL: 'mysql://h/d' })).toThrow(/^DATABASE_URL must be/);
  });

  it('cannot be changed once read', () => {
    const config = parseConfig({ DATABASE_URL });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.limits)).toBe(true);
    expect(Object.isFrozen(config.database)).toBe(true);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['no database', {}, /^DATABASE_URL must be set/],
    ['persistence on without a database', { PERSISTENCE_ENABLED: 'true' }, /^DATABASE_URL must be set/],
    [
      'a URL of another kind',
      { DATABASE_URL: 'mysql://u:hunter2hunter2@h/d' },
      /^DATABASE_URL must be a URL/,
    ],
    ['no database in the URL', { DATABASE_URL: 'postgres://u:hunter2hunter2@h' }, /^DATABASE_URL must be/],
    [
      'an address without a database',
      { DATABASE_HTTP_URL: 'https://x' },
      /^DATABASE_HTTP_URL needs DATABASE_URL/,
    ],
    [
      'an address in the clear',
      { DATABASE_URL, DATABASE_HTTP_URL: 'http://db.example/sql' },
      /^DATABASE_HTTP_URL/,
    ],
    [
      'a URL as the host of Redis',
      { DATABASE_URL, REDIS_HOST: 'redis://:hunter2@h' },
      /^REDIS_HOST must be a host/,
    ],
    [
      'a Redis URL and its host',
      { DATABASE_URL, REDIS_URL, REDIS_HOST: 'h' },
      /^REDIS_HOST and REDIS_URL are both/,
    ],
    [
      'a Redis URL and its port',
      { DATABASE_URL, REDIS_URL, REDIS_PORT: '1' },
      /^REDIS_PORT and REDIS_URL are both/,
    ],
    [
      'a Redis URL and its password',
      { DATABASE_URL, REDIS_URL, REDIS_PASSWORD: 'hunter2' },
      /^REDIS_PASSWORD and REDIS_URL are both/,
    ],
    ['a Redis URL and Upstash', { DATABASE_URL, REDIS_URL, ...UPSTASH }, /^REDIS_URL and UPSTASH/],
    [
      'a Redis URL of HTTP',
      { DATABASE_URL, REDIS_URL: 'https://h:6379' },
      /^REDIS_URL must be a URL like rediss/,
    ],
    [
      'a Redis URL without a host',
      { DATABASE_URL, REDIS_URL: 'redis:///0' },
      /^REDIS_URL must be a URL like rediss/,
    ],
    [
      'parameters of a Redis URL',
      { DATABASE_URL, REDIS_URL: `${REDIS_URL}?a=1` },
      /^REDIS_URL must be a URL like/,
    ],
    [
      'a database that is no number',
      { DATABASE_URL, REDIS_URL: `${REDIS_URL}/main` },
      /^REDIS_URL must be a URL/,
    ],
    [
      'a broken character',
      { DATABASE_URL, REDIS_URL: 'redis://:hunter2%e4x@h' },
      /^REDIS_URL must be a URL like/,
    ],
    ['two kinds of Redis', { DATABASE_URL, REDIS_HOST: 'h', ...UPSTASH }, /^REDIS_HOST and UPSTASH/],
    [
      'a Redis URL without its token',
      { DATABASE_URL, UPSTASH_REDIS_REST_URL: 'https://x' },
      /^UPSTASH_REDIS_REST_URL needs UPSTASH_REDIS_REST_TOKEN/,
    ],
    [
      'a Redis token without its URL',
      { DATABASE_URL, UPSTASH_REDIS_REST_TOKEN: 'hunter2hunter2' },
      /^UPSTASH_REDIS_REST_TOKEN needs UPSTASH_REDIS_REST_URL/,
    ],
    ['a password for no Redis', { DATABASE_URL, REDIS_PASSWORD: 'hunter2hunter2' }, /^REDIS_PASSWORD/],
    ['caching without a Redis', { DATABASE_URL, CACHE_ENABLED: 'true' }, /^CACHE_ENABLED is on/],
    [
      'batching without a Redis',
      { DATABASE_URL, BATCH_PROCESSING_ENABLED: '1' },
      /^BATCH_PROCESSING_ENABLED/,
    ],
    [
      'caching in no store at all',
      { PERSISTENCE_ENABLED: 'off', CACHE_ENABLED: 'on' },
      /^CACHE_ENABLED is on/,
    ],
    ['QStash without its keys', { DATABASE_URL, QSTASH_TOKEN: 'hunter2hunter2' }, /^QSTASH_TOKEN .* are not/],
    [
      'QStash with one key',
      { DATABASE_URL, QSTASH_TOKEN: 'hunter2hunter2', QSTASH_NEXT_SIGNING_KEY: 'hunter2hunter2' },
      /QSTASH_CURRENT_SIGNING_KEY is not/,
    ],
    ['QStash that does not know where to deliver', { DATABASE_URL, ...QSTASH }, /^PUBLIC_URL must be set/],
    [
      'a public address in the clear',
      { DATABASE_URL, PUBLIC_URL: 'http://worldkeep.example' },
      /^PUBLIC_URL must be an https/,
    ],
    ['a query behind it', { DATABASE_URL, PUBLIC_URL: 'https://w.example/?a=b' }, /^PUBLIC_URL .* query/],
    [
      'a schedule of six fields',
      { DATABASE_URL, DRAIN_SCHEDULE_CRON: '* * * * * *' },
      /^DRAIN_SCHEDULE_CRON/,
    ],
    ['a minute that is none', { DATABASE_URL, DRAIN_SCHEDULE_CRON: '60 * * * *' }, /^DRAIN_SCHEDULE_CRON/],
    ['a range backwards', { DATABASE_URL, DRAIN_SCHEDULE_CRON: '* 9-5 * * *' }, /^DRAIN_SCHEDULE_CRON/],
    ['a step of nothing', { DATABASE_URL, DRAIN_SCHEDULE_CRON: '*/0 * * * *' }, /^DRAIN_SCHEDULE_CRON/],
    ['a backlog of nothing', { DATABASE_URL, BACKLOG_ENTRIES_MAX: '0' }, /^BACKLOG_ENTRIES_MAX/],
    ['a flag that is neither', { DATABASE_URL, CACHE_ENABLED: 'maybe' }, /^CACHE_ENABLED .* not "maybe"/],
    ['a number that is none', { DATABASE_URL, REDIS_PORT: '6379x' }, /^REDIS_PORT must be a whole number/],
    ['a number out of range', { DATABASE_URL, DATABASE_POOL_SIZE: '0' }, /^DATABASE_POOL_SIZE .* 1 to 1000/],
    ['a URL for a host', { DATABASE_URL, HOST: 'http://0.0.0.0' }, /^HOST must be a host name/],
    ['an id that is none', { DATABASE_URL, DEFAULT_SPACE_ID: 'a/b' }, /^DEFAULT_SPACE_ID/],
    ['an id of dots alone', { DATABASE_URL, DEFAULT_TENANT_ID: '..' }, /^DEFAULT_TENANT_ID/],
    ['a level that is none', { DATABASE_URL, LOG_LEVEL: 'loud' }, /^LOG_LEVEL must be one of .* not "loud"/],
    ['a short token', { DATABASE_URL, METRICS_TOKEN: 'hunter2' }, /^METRICS_TOKEN must be at least 16/],
    [
      'a short signing key',
      { DATABASE_URL, SESSION_SIGNING_KEY: 'hunter2' },
      /^SESSION_SIGNING_KEY must be .* 7\.$/,
    ],
    [
      'a short signing key of before',
      { DATABASE_URL, SESSION_SIGNING_KEY: SIGNING_KEY, SESSION_SIGNING_KEY_PREVIOUS: SIGNING_KEY.slice(1) },
      /^SESSION_SIGNING_KEY_PREVIOUS must be at least 32 bytes/,
    ],
    [
      'a signing key of before without one of now',
      { DATABASE_URL, SESSION_SIGNING_KEY_PREVIOUS: SIGNING_KEY },
      /^SESSION_SIGNING_KEY_PREVIOUS is set, and/,
    ],
    [
      'a signing key twice',
      { DATABASE_URL, SESSION_SIGNING_KEY: SIGNING_KEY, SESSION_SIGNING_KEY_PREVIOUS: SIGNING_KEY },
      /^SESSION_SIGNING_KEY_PREVIOUS is the same/,
    ],
    ['a path as an origin', { DATABASE_URL, CORS_ALLOWED_ORIGINS: 'https://a.example/x' }, /^CORS_ALLOWED/],
  ])('refuses %s in one sentence without secrets', (_, env, sentence) => {
    expect(() => parseConfig(env)).toThrow(sentence);
    expect(() => parseConfig(env)).toThrow(expect.objectContaining({ code: 'misconfigured' }));
    expect(() => parseConfig(env)).not.toThrow(/hunter2/);
  });

  it('reads the keys that session tokens are signed with', () => {
    const SESSION_SIGNING_KEY_PREVIOUS = 'before--'.repeat(4);
    expect(parseConfig({ DATABASE_URL, SESSION_SIGNING_KEY: SIGNING_KEY }).sessionSigning).toEqual({
      key: SIGNING_KEY,
      previousKey: null,
    });
    const rotating = { DATABASE_URL, SESSION_SIGNING_KEY: SIGNING_KEY, SESSION_SIGNING_KEY_PREVIOUS };
    expect(parseConfig(rotating).sessionSigning?.previousKey).toBe(SESSION_SIGNING_KEY_PREVIOUS);
  });

  it('reads where QStash finds the deployment, and when it is to sweep', () => {
    const read = (changes: Record<string, string>) => parseConfig({ DATABASE_URL, ...QSTASH, ...changes });
    const { qstash, publicUrl } = read({ PUBLIC_URL: 'https://worldkeep.example/' });
    expect(publicUrl).toBe('https://worldkeep.example');
    expect(qstash?.url).toBe('https://qstash.upstash.io');
    expect(read({ PUBLIC_URL: 'http://127.0.0.1:8787' }).publicUrl).toBe('http://127.0.0.1:8787');
    expect(read({ PUBLIC_URL: 'https://a.example/worlds/' }).publicUrl).toBe('https://a.example/worlds');
    const cron = (DRAIN_SCHEDULE_CRON: string) =>
      read({ PUBLIC_URL: 'https://a.example', DRAIN_SCHEDULE_CRON }).drainScheduleCron;
    expect(cron(' */5  0-6,22 1,15 */2 0-7 ')).toBe('*/5 0-6,22 1,15 */2 0-7');
    expect(cron('')).toBe('* * * * *');
  });

  it.each(['CURRENT', 'NEXT'])(
    'takes no development key of QStash as the %s one but on this machine',
    (which) => {
      const keys = { ...QSTASH, [`QSTASH_${which}_SIGNING_KEY`]: 'sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs' };
      const read = (PUBLIC_URL: string) => parseConfig({ DATABASE_URL, ...keys, PUBLIC_URL }).qstash;
      expect(() => read('https://a.example')).toThrow(
        new RegExp(`^QSTASH_${which}_SIGNING_KEY .* everybody`),
      );
      expect(() => read('https://localhost.example')).toThrow(/everybody/);
      expect(read('http://localhost:8787')).not.toBeNull();
    },
  );

  it('reads what schedules need from an environment that has nothing else', () => {
    const env = { QSTASH_TOKEN: 'hunter2hunter2', PUBLIC_URL: 'https://a.example/' };
    expect(parseQueueConfig(env)).toEqual({
      url: 'https://qstash.upstash.io',
      token: 'hunter2hunter2',
      publicUrl: 'https://a.example',
      drainScheduleCron: '* * * * *',
      cleanupScheduleCron: '17 * * * *',
      refreshScheduleCron: '7 * * * *',
      sealScheduleCron: '* * * * *',
    });
    expect(() => parseQueueConfig({ ...env, QSTASH_TOKEN: '' })).toThrow(/^QSTASH_TOKEN must be set/);
    expect(() => parseQueueConfig({ ...env, PUBLIC_URL: '' })).toThrow(/^PUBLIC_URL must be set/);
  });

  it('reads a list of origins', () => {
    const read = (CORS_ALLOWED_ORIGINS: string) => parseConfig({ DATABASE_URL, CORS_ALLOWED_ORIGINS });
    expect(read('https://a.example, http://localhost:3000').corsAllowedOrigins).toEqual([
      'https://a.example',
      'http://localhost:3000',
    ]);
    expect(read('*').corsAllowedOrigins).toBe('*');
  });

  it.each(['.env.example', '.dev.vars.example'])(
    'is explained in %s, every variable and no other',
    (file) => {
      const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
      const named = [...text.matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map((match) => match[1]);
      expect(named.toSorted()).toEqual(Object.keys(CONFIG_VARIABLES).toSorted());
    },
  );

  it('takes .env.example as it is', () => {
    const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
    const env = Object.fromEntries([...text.matchAll(/^([A-Z][A-Z_]+)=(.*)$/gm)].map((m) => [m[1], m[2]]));
    expect(Config.parse(env).database).not.toBeNull();
  });

  it('is required in wrangler.toml only if the Worker cannot run without it', () => {
    const text = readFileSync(new URL('../wrangler.toml', import.meta.url), 'utf8');
    const named = Object.keys(CONFIG_VARIABLES).filter((name) => new RegExp(`^${name} =`, 'm').test(text));
    expect(named).toEqual([]);
    const required = [...text.matchAll(/^required = (.+)$/gm)].map(([, list = '']) => JSON.parse(list));
    expect(required).toEqual([['DATABASE_URL'], ['DATABASE_URL']]);
  });
});
