import type { StackValues } from '../../dev/stack.ts';
import type { LogAddress } from '../../src/log/log-stores.ts';

/** Has QStash call the Worker to drain a space; returns when the call is queued. */
export async function callDrain(
  { qstashUrl, qstashToken }: StackValues,
  workerUrl: string,
  { tenantId, spaceId }: LogAddress,
): Promise<void> {
  const answer = await fetch(`${qstashUrl}/v2/publish/${workerUrl}/jobs/drain`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${qstashToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ tenantId, spaceId }),
  });
  if (!answer.ok) throw new Error(`QStash: ${answer.status} ${await answer.text()}`);
  await answer.body?.cancel();
}
