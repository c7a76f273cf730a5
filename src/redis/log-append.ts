import type { AppendOutcome, AppendRequest, BudgetLeft, LogAddress } from '../log/log-stores.ts';
import { AppError } from '../world/errors.ts';
import { CHAT_RULES } from '../world/schemas.ts';
import type { RedisReply } from './client.ts';
import {
  budgetKey,
  chatBudgetKey,
  idempotencyKey,
  liveChannel,
  logKey,
  logMetaKey,
  messageIdKey,
  spaceMember,
} from './keys.ts';
import type { KnownLog } from './known-logs.ts';
import type { LogContext } from './log-context.ts';
import { checkLength, readCount, readInteger, readList, readSeq, readText, readWord } from './log-reply.ts';
import { APPEND } from './scripts.ts';

const STATUSES = [
  ...(['appended', 'repeated', 'cold', 'deleted', 'moved'] as const),
  ...(['unverified', 'ahead', 'key_reused', 'no_chat', 'over_budget', 'backlog_full'] as const),
];

/** One command where the space's incarnation is known here, else one more. @throws store_unavailable */
export async function appendEntries(
  context: LogContext,
  address: LogAddress,
  request: AppendRequest,
): Promise<AppendOutcome> {
  const { redis, known, createToken } = context;
  const { opened, idempotency, budget, chat = null, onlyIncarnation } = request;
  const token = createToken();
  return known.call<AppendOutcome>(address, opened?.incarnation ?? onlyIncarnation, async (log, isFirst) => {
    const { incarnation } = log;
    if (onlyIncarnation !== undefined && incarnation !== onlyIncarnation) return { status: 'replaced' };
    const keys = [
      logMetaKey(address),
      logKey(address, incarnation),
      known.dirtyKey(address),
      idempotency === null || idempotency.key === null
        ? logMetaKey(address)
        : idempotencyKey(address, idempotency.principal, idempotency.key),
      budget === null ? logMetaKey(address) : budgetKey(address, budget.principal),
      ...Array.from(chat?.people.keys() ?? [], (userId) => chatBudgetKey(address, userId)),
      ...(idempotency?.messageIds ?? []).map((id) => messageIdKey(address, idempotency?.principal ?? '', id)),
    ];
    // The answer of Postgres is about the incarnation that it names, and about no other.
    const args = buildArguments(
      context,
      address,
      { ...request, opened: isFirst ? opened : null },
      log,
      token,
    );
    const list = readList(await redis.eval(APPEND, keys, args).catch(explainFull));
    const status = readWord(list[0], STATUSES);
    switch (status) {
      case 'moved':
        checkLength(list, 2);
        return { movedTo: readText(list[1]) };
      case 'unverified':
        checkLength(list, 1);
        return { isUnverified: true };
      case 'appended': {
        const replaced = readText(list[5]);
        // Another incarnation's log, which no command names any more.
        if (replaced !== '' && replaced !== incarnation)
          await redis.command('UNLINK', logKey(address, replaced)).catch(() => null);
        known.note(address, incarnation, { seen: readSeqs(list).seq });
        const drainMs = readInteger(list[4]);
        return {
          status,
          ...readSeqs(list),
          isRepeat: false,
          messageIds: chat?.ids ?? [],
          incarnation,
          ...(drainMs < 0 ? { drainAfterMs: null, token: '' } : { drainAfterMs: drainMs, token }),
          after: list[6] === '' ? null : readCount(list[6]),
          budget: readBudget(list, 7, request),
        };
      }
      case 'repeated':
        return {
          status: 'appended',
          ...readSeqs(list),
          isRepeat: true,
          messageIds: readText(list[5]).split(',').filter(Boolean),
          incarnation: readText(list[4]),
          drainAfterMs: null,
          token: '',
          after: null,
          budget: readBudget(list, 6, request),
        };
      default:
        return readRefusal(status, list, request);
    }
  });
}

function buildArguments(
  { options }: LogContext,
  address: LogAddress,
  {
    actor,
    requestId,
    entries,
    waits,
    returnsObject,
    idempotency,
    budget,
    chat = null,
    backlog,
    opened,
    endsAt = null,
  }: AppendRequest,
  { incarnation, seen, isUnchecked }: KnownLog,
  token: string,
): string[] {
  return [
    ...[incarnation, spaceMember(address), liveChannel(address, incarnation), token],
    ...[actor ?? '', JSON.stringify(actor), waits ? (returnsObject ? '2' : '1') : '0'],
    ...[options.soonMs, options.restMs, options.leaseMs].map((ms) => String(ms * 1_000)),
    ...[backlog.bytesMax, backlog.entriesMax, backlog.ageMsMax * 1_000].map(String),
    ...[String(idempotency?.ttlSeconds ?? 0), idempotency?.fingerprint ?? ''],
    ...[budget?.requestsPerMinute ?? 0, budget?.updatesPerMinute ?? 0].map(String),
    ...(opened === null ? ['', ''] : [String(opened.incarnationSeq), String(opened.cursor)]),
    ...[endsAt === null ? '' : String(endsAt), String(seen), isUnchecked ? '1' : '0'],
    ...[opened?.reopened ?? '', opened?.chat ?? 'viewer'],
    ...[chat?.isAccepted ? 'accepted' : (chat?.role ?? ''), String(chat?.perMinute ?? 0)],
    ...[chat?.ids.join(',') ?? '', [chat?.ids.length ?? 0, ...(chat?.people.values() ?? [])].join(' ')],
    ...[typeof idempotency?.key === 'string' ? '1' : '0', requestId ?? ''],
    ...entries.flatMap(({ ops, count }) => [ops, String(count)]),
  ];
}

function readSeqs(list: readonly RedisReply[]): { firstSeq: number; seq: number; accepted: number } {
  return { firstSeq: readCount(list[1]), seq: readCount(list[2]), accepted: readCount(list[3]) };
}

function readRefusal(
  status: 'cold' | 'deleted' | 'ahead' | 'key_reused' | 'no_chat' | 'over_budget' | 'backlog_full',
  list: readonly RedisReply[],
  request: AppendRequest,
): AppendOutcome {
  switch (status) {
    case 'cold':
      checkLength(list, 2);
      return { status, isLogAbsent: readCount(list[1]) === 0 };
    case 'deleted':
      checkLength(list, 2);
      return { status, incarnation: readText(list[1]) };
    case 'ahead':
    case 'key_reused':
      checkLength(list, 1);
      return { status };
    case 'no_chat':
      checkLength(list, 2);
      return { status, rule: readWord(list[1], CHAT_RULES) };
    case 'over_budget': {
      const kind = readWord(list[1], ['requests', 'updates', 'messages']);
      const left = readBudget(list, 3, request);
      return { status, kind, retryAfterMs: readSeq(list[2]), budget: left ?? UNCOUNTED };
    }
    case 'backlog_full': {
      checkLength(list, 3);
      const kind = readWord(list[1], ['bytes', 'entries', 'age']);
      const actual = readCount(list[2]);
      const { bytesMax, entriesMax, ageMsMax } = request.backlog;
      if (kind === 'age') return { status, kind, actual: Math.floor(actual / 1_000), max: ageMsMax };
      return { status, kind, actual, max: kind === 'bytes' ? bytesMax : entriesMax };
    }
  }
}

const UNCOUNTED: BudgetLeft = {
  requests: { remaining: Number.POSITIVE_INFINITY, resetMs: 0 },
  updates: { remaining: Number.POSITIVE_INFINITY, resetMs: 0 },
};

function readBudget(list: readonly RedisReply[], at: number, { budget }: AppendRequest): BudgetLeft | null {
  if (budget === null || (budget.requestsPerMinute === 0 && budget.updatesPerMinute === 0)) {
    checkLength(list, at);
    return null;
  }
  checkLength(list, at + 4);
  const readKind = (i: number) => {
    const remaining = readInteger(list[i]);
    return {
      remaining: remaining < 0 ? Number.POSITIVE_INFINITY : remaining,
      resetMs: readCount(list[i + 1]),
    };
  };
  return { requests: readKind(at), updates: readKind(at + 2) };
}

/** A full memory refuses the script before its first line: nothing was appended. */
function explainFull(error: unknown): never {
  if (
    error instanceof AppError &&
    error.cause instanceof Error &&
    'code' in error.cause &&
    error.cause.code === 'OOM'
  )
    throw new AppError('store_unavailable', 'Redis is full: nothing was written.', {
      cause: error.cause,
      retryAfterSeconds: 5,
    });
  throw error;
}
