import { randomUUID } from 'node:crypto';
import { readCount } from '../arguments.ts';
import { defineCommand, JSON_OPTION } from '../command.ts';
import { resolveConnection } from '../connection.ts';
import { checkSpaceId, SPACE_OPTION } from '../space-option.ts';

/** A space has as many streams. */
const USERS_MAX = 1_000;
/** Moves of one user in a second. */
const HZ_MAX = 60;
const SECONDS_MAX = 3_600;

export const simulateCommand = defineCommand({
  name: 'simulate',
  description: 'Play users that move an object each, and report latency and losses',
  args: {
    users: {
      type: 'string',
      required: true,
      valueHint: 'count',
      description: `Clients that connect: 1 to ${USERS_MAX.toLocaleString('en-US')}`,
    },
    hz: {
      type: 'string',
      required: true,
      valueHint: 'count',
      description: `Moves of each user in a second: 1 to ${HZ_MAX}`,
    },
    seconds: {
      type: 'string',
      required: true,
      valueHint: 'count',
      description: `How long they move: 1 to ${SECONDS_MAX.toLocaleString('en-US')}`,
    },
    space: { ...SPACE_OPTION.space, required: false, default: 'main', description: 'Id of the space' },
    ...JSON_OPTION,
  },
  examples: ['simulate --users 200 --hz 10 --seconds 60'],
  async run(args, context) {
    const users = readCount('users', args.users, USERS_MAX);
    const hz = readCount('hz', args.hz, HZ_MAX);
    const seconds = readCount('seconds', args.seconds, SECONDS_MAX);
    checkSpaceId(args.space);
    const connection = resolveConnection(context);
    // Loaded here: no other command needs the client.
    const [{ simulate }, { printReport }] = await Promise.all([
      import('../simulation/simulate.ts'),
      import('../simulation/report.ts'),
    ]);
    const run = randomUUID().slice(0, 8);
    const report = await simulate({ run, space: args.space, users, hz, seconds }, connection, context);
    const { lost, leftBehind } = report;
    return {
      document: report,
      text: printReport(report),
      failed: lost.objects + leftBehind.objects + leftBehind.users > 0,
    };
  },
});
