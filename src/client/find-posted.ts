import type { ChatPostOperation } from '../world/operation.ts';
import type { Seq } from '../world/types.ts';
import type { Requests } from './requests.ts';

/**
 * Looks for a message in the list of messages.
 * @param options `afterSeq`: the message is later
 * @returns its seq; null if it is not there
 */
export async function findPosted(
  requests: Requests,
  post: ChatPostOperation,
  { afterSeq, signal }: { afterSeq: Seq; signal: AbortSignal },
): Promise<Seq | null> {
  for (let cursor = ''; ; ) {
    const { items, nextCursor } = await requests.sendJson<{
      items: { seq: Seq; userId: string | null; text: string }[];
      nextCursor: string | null;
    }>(`/chat?limit=200&after=${afterSeq}${cursor}`, { signal });
    const userId = post.userId ?? requests.subject;
    const found = items.find((item) => item.userId === userId && item.text === post.text);
    if (found !== undefined || nextCursor === null) return found?.seq ?? null;
    cursor = `&cursor=${encodeURIComponent(nextCursor)}`;
  }
}
