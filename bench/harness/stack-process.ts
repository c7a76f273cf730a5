/**
 * The stores and their emulators, as in the dev stack, in a process of their own: so the emulators' CPU and memory can be told from
 * what measures. Ends with its parent, whatever becomes of that.
 */
import { ANY_PORTS, makeTemporaryDir, startStack } from '../../dev/stack.ts';
import { migrate } from '../../drizzle/migrate.ts';

const log = () => undefined;
// Ctrl-C reaches the whole group: what starts this process ends it, in order.
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
