import { parseArgs as parseStrictly } from 'node:util';
import { type ArgsDef, type ParsedArgs, parseArgs } from 'citty';
import { UsageError } from './errors.ts';

/** @returns the arguments of a command. @throws UsageError for an unknown option, a missing argument, a bad value, one too many. */
export function readArguments<A extends ArgsDef>(rawArgs: readonly string[], definitions: A): ParsedArgs<A> {
  refuseUnknown(rawArgs, definitions);
  try {
    return parseArgs<A>([...rawArgs], definitions);
  } catch (error) {
    throw new UsageError(toSentence(error));
  }
}

/** The parser of the command library lets unknown options and missing values pass; the one of Node does not. */
function refuseUnknown(rawArgs: readonly string[], definitions: ArgsDef): void {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {};
  let positionals = 0;
  for (const [name, definition] of Object.entries(definitions)) {
    if (definition.type === 'positional') {
      positionals++;
      continue;
    }
    const short = ['alias' in definition ? (definition.alias ?? []) : []]
      .flat()
      .find((alias) => alias.length === 1);
    options[name] = {
      type: definition.type === 'boolean' ? 'boolean' : 'string',
      ...(short !== undefined && { short }),
    };
  }
  let parsed: ReturnType<typeof parseStrictly>;
  try {
    parsed = parseStrictly({ args: [...rawArgs], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(toSentence(error));
  }
  const extra = parsed.positionals[positionals];
  if (extra !== undefined) throw new UsageError(`unexpected argument: ${extra}`);
  for (const [name, value] of Object.entries(parsed.values))
    if (value === '') throw new UsageError(`--${name} must not be empty`);
}

/** @returns the whole number of an option. @throws UsageError */
export function readCount(name: string, text: string, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > max)
    throw new UsageError(
      `--${name} must be a whole number from 1 to ${max.toLocaleString('en-US')}, not ${JSON.stringify(text.slice(0, 60))}`,
    );
  return count;
}

/** The libraries' own words, without their colours, hints in further sentences and capital letters. */
function toSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that begins a colour
  const plain = message.replaceAll(/\u001b\[\d+m/g, '').split(/\.\s|\n/)[0] ?? '';
  return plain.charAt(0).toLowerCase() + plain.slice(1).replace(/\.$/, '');
}
