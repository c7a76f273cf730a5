/**
 * The stores and their emulators, as in the dev stack. They run in a separate process, so that the emulators' CPU and
 * memory do not count as the benchmark's. Ends with its parent, even if the parent crashes.
 */
import { ANY_PORTS, makeTemporaryDir, startStack } from '../../dev/stack.ts';
import { migrate } from '../../drizzle/migrate.ts';

const log = () => undefined;
// Ctrl-C reaches the whole group. This process ignores it: its parent ends it, in the right order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
const gone = new Promise<void>((resolve) => process.once('disconnect', resolve));
const stack = await startStack({ dir: await makeTemporaryDir(), ephemeral: true, ports: ANY_PORTS, log });
try {
  const { migrationUrl, databaseUrl } = stack.values;
  await migrate({ migrationUrl, appUrl: databaseUrl });
  process.send?.(stack.values);
  await Promise.race([gone, stack.ended.then((how) => Promise.reject(new Error(how)))]);
} finally {
  await stack.stop();
}
process.exit(0);
