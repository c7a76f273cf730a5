import { existsSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { ANY_PORTS, makeTemporaryDir, type StackValues, startStack } from '../dev/stack.ts';
import { migrate } from '../drizzle/migrate.ts';
import { SHARED } from '../vitest.config.ts';
import { type BundledServer, bundleNodeServer } from './http/bundle-node-server.ts';

declare module 'vitest' {
  export interface ProvidedContext extends StackValues {
    /** The Node server as one file. It starts six times as fast. */
    nodeServerPath: string;
  }
}

/** One ephemeral stack for the whole run: real stores, migrated, on free ports. And the Node server, bundled once. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const log = (line: string) => project.vitest.logger.log(`[stack] ${line}`);
  if (!existsSync(SHARED))
    log('../shared is absent: skipping the real scenes and the HTTP contract (*.shared.test.ts)');
  const stack = await startStack({
    dir: await makeTemporaryDir(),
    ephemeral: true,
    durable: false,
    ports: ANY_PORTS,
    log,
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void stack.kill().finally(() => process.exit(1)));
  const { values } = stack;
  let server: BundledServer | undefined;
  try {
    server = await bundleNodeServer();
    project.provide('nodeServerPath', server.path);
    await migrate({ migrationUrl: values.migrationUrl, appUrl: values.databaseUrl, log });
    for (const key of Object.keys(values) as (keyof StackValues)[]) project.provide(key, values[key]);
  } catch (error) {
    await server?.remove();
    await stack.stop();
    throw error;
  }
  return async () => {
    await server?.remove();
    await stack.stop();
  };
}
