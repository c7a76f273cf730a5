import { Api } from '../src/cli/api.ts';
import { createSignInLink } from '../src/cli/sign-in-link.ts';
import type { FirstWorld } from './first-world.ts';

const PEOPLE = { ann: 'Ann', ben: 'Ben' };
const TTL_SECONDS = 3_600;

/**
 * Lines for the terminal, with a link to the demo space for each of two people. The tokens in them are written to no file.
 * @param signal aborted by Ctrl-C
 */
export async function describeLinks(
  { url, apiKey, spaceId }: FirstWorld & { url: string },
  signal: AbortSignal,
): Promise<string[]> {
  const api = new Api({ url, apiKey, keyFrom: 'dev.json' }, signal);
  const hint = `npx worldkeep link --space ${spaceId} makes a new link.`;
  try {
    const links: string[] = [];
    for (const [userId, displayName] of Object.entries(PEOPLE)) {
      const person = { userId, nameIfNew: displayName, role: 'editor' as const, ttlSeconds: TTL_SECONDS };
      const { link } = await createSignInLink(api, { url, space: spaceId, ...person });
      links.push(`Open the world: ${link} (as ${displayName})`);
    }
    return [...links, `These links work for an hour. ${hint}`];
  } catch (error) {
    // The developer may have deleted the space. Everything else works.
    return [`No link to the demo space: ${error instanceof Error ? error.message : String(error)}. ${hint}`];
  }
}
