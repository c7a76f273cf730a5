import { type MoveForm, readSeqText } from '../../src/world/change.ts';
import { AppError } from '../../src/world/errors.ts';
import { toPointer } from '../../src/world/schemas.ts';
import type { Seq } from '../../src/world/types.ts';
import type { AppContext } from './context.ts';

/**
 * The query's parameters by name. One that is not served is refused, for passed over it would change the answer's meaning.
 * @throws validation_failed naming the parameter
 */
export function readQuery<Name extends string>(
  c: AppContext,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const read: Partial<Record<Name, string>> = {};
  if (!c.req.url.includes('?')) return read;
  for (const [name, value] of new URL(c.req.url).searchParams) {
    const known = names.find((candidate) => candidate === name);
    if (known === undefined) throw refuseParameter(name, 'is not a parameter of this route');
    if (read[known] !== undefined) throw refuseParameter(name, 'appears more than once');
    read[known] = value;
  }
  return read;
}

/** `expand=operations` asks for moves as patches. @throws validation_failed */
export function readMoveForm(text: string | undefined): MoveForm {
  if (text === undefined) return 'columns';
  if (text === 'operations') return 'operations';
  throw refuseParameter('expand', 'must be "operations"');
}

/** A parameter that is on or off; off where it is not given. @throws validation_failed */
export function readFlagParameter(name: string, text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw refuseParameter(name, 'must be "true" or "false"');
}

/** Where in a space's order to begin; null where it is not said. @throws validation_failed */
export function readSince(text: string | undefined): Seq | null {
  if (text === undefined) return null;
  const since = readSeqText(text);
  if (since === null) throw refuseParameter('since', 'must be a sequence number: a whole number, 0 or more');
  return since;
}

export function refuseParameter(name: string, message: string): AppError {
  return new AppError('validation_failed', 'The input is not valid.', {
    errors: [{ path: toPointer([name.slice(0, 64)]), message }],
  });
}
