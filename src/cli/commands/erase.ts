import { countOf } from '../../helpers/counts.ts';
import { pause } from '../../helpers/time.ts';
import { LIMITS } from '../../world/limits.ts';
import { Api, type ErasedAnswer } from '../api.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { CommandError, UsageError } from '../errors.ts';
import { checkUserId, USER_ARGUMENT } from '../user-argument.ts';

export const eraseCommand = defineCommand({
  name: 'erase',
  description: 'Erase a person everywhere, for good; needs a key with write',
  args: {
    ...USER_ARGUMENT,
    yes: { type: 'boolean', alias: 'y', default: false, description: 'Do not ask' },
    once: {
      type: 'boolean',
      default: false,
      description: `Do not look again after ${LIMITS.erasureSettleMs / 1_000} s, when what was under way has ended`,
    },
    ...JSON_OPTION,
  },
  examples: ['erase ann', 'erase ann --yes --json'],
  async run({ user, yes, once }, { signal, confirm, progress, ...context }) {
    checkUserId(user);
    const api = new Api(resolveConnection(context), signal);
    if (!yes) {
      if (confirm === null)
        throw new UsageError('Nobody can be asked here. Give --yes to erase without a question.');
      if (
        !(await confirm(
          `Erase ${user} with all messages, sessions and events? This cannot be undone. [y/N] `,
        ))
      )
        throw new CommandError('not_confirmed', 'nothing was erased');
    }
    const settle = `in ${LIMITS.erasureSettleMs / 1_000} s`;
    let isPart = false;
    const first = await api.eraseUser(user).catch((error: unknown) => {
      if (once || !(error instanceof CommandError) || error.code !== 'store_unavailable') throw error;
      // A session that has ended may write for some seconds. A part is erased, and the next call continues.
      progress.note(`${error.message} Trying again ${settle}`);
      isPart = true;
      return {};
    });
    if (first === null) throw new CommandError('not_found', `nothing is stored of ${user}`, { status: 404 });
    const erased: ErasedAnswer = first;
    if (!once) {
      if (!isPart) progress.note(`erased ${user}: ${describe(erased)}; looking again ${settle}`);
      await pause(LIMITS.erasureSettleMs, signal);
      if (signal.aborted)
        throw new CommandError('interrupted', 'interrupted before the second look; erase again');
      add(erased, await api.eraseUser(user));
    }
    const text = isPart
      ? `erased ${user}; the first attempt did not answer its counts`
      : `erased ${user}: ${describe(erased)}`;
    return { document: { user, erased }, text };
  },
});

function add(total: ErasedAnswer, more: ErasedAnswer | null): void {
  for (const [kind, count] of Object.entries(more ?? {})) total[kind] = (total[kind] ?? 0) + count;
}

function describe(erased: ErasedAnswer): string {
  const kinds = [
    ...([
      ['memberships', 'membership'],
      ['sessions', 'session'],
      ['messages', 'message'],
    ] as const),
    ...([
      ['events', 'event'],
      ['deadLetters', 'dead letter'],
      ['files', 'file'],
    ] as const),
    ...([
      ['audit', 'audit row'],
      ['keys', 'Redis key'],
    ] as const),
  ];
  const parts = kinds.flatMap(([kind, one]) => (erased[kind] ? [countOf(erased[kind], one)] : []));
  return parts.length === 0 ? 'only the profile' : parts.join(', ');
}
