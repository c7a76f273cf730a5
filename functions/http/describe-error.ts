const CAUSES_MAX = 5;
const FRAMES_MAX = 8;

/** One error as a log may hold it. */
export interface DescribedError {
  name: string;
  /** Postgres's SQLSTATE, Redis's first word, the system's `ECONNREFUSED`. */
  code?: string;
  /** Where it was thrown. */
  at?: string[];
}

/**
 * An error and its causes: names and codes, and for bugs the places. Its words are left out, because a store's own may hold
 * what was being written.
 */
export function describeError(error: unknown, { withPlaces = false } = {}): DescribedError[] {
  const causes: DescribedError[] = [];
  for (let at = error; at instanceof Error && causes.length < CAUSES_MAX; at = at.cause)
    causes.push({
      name: keepWord(at.name) ?? 'Error',
      ...('code' in at && typeof at.code === 'string' && keepCode(at.code)),
      ...(withPlaces && { at: readPlaces(at) }),
    });
  return causes;
}

function keepCode(code: string): { code?: string } {
  const kept = keepWord(code);
  return kept === undefined ? {} : { code: kept };
}

/** Names and codes are words; what is more than that may be a message. */
function keepWord(text: string): string | undefined {
  return /^\w{1,64}$/.test(text) ? text : undefined;
}

/** A message's own lines come first in a stack, and may look like anything: they are cut off by their length. */
function readPlaces({ stack = '', message }: Error): string[] {
  const from = stack.indexOf(message);
  const places = from < 0 ? stack : stack.slice(from + message.length);
  return places.match(/^ {4}at .*$/gm)?.slice(0, FRAMES_MAX) ?? [];
}
