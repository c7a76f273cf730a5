import type { TrustedProxies } from '../../src/config/proxies.ts';
import { type IpAddress, isWithin, readIpAddress } from '../../src/helpers/ip-addresses.ts';

/**
 * The address of the caller. A header counts only where the connection comes from a trusted proxy, because anybody may send one.
 * Of a list, the right-most address that is not a trusted proxy is the caller: every address left of it may be invented.
 * @param peer the other end of the connection
 * @param read a header of the request
 */
export function readClientAddress(
  peer: string | null,
  read: (header: string) => string | undefined,
  trusted: TrustedProxies | null,
): string | null {
  if (trusted === null || peer === null) return peer;
  let caller = readIpAddress(peer);
  if (caller === null) return peer;
  for (const entry of listEntries(read(trusted.header) ?? '', trusted.header).reverse()) {
    if (!isWithin(caller, trusted.ranges)) break;
    const next = readEntry(entry);
    // A proxy may hide an address (`unknown`, `_hidden`). The last known address is used instead.
    if (next === null) break;
    caller = next;
  }
  return caller.toString();
}

function listEntries(text: string, header: TrustedProxies['header']): string[] {
  if (header === 'CF-Connecting-IP') return [text];
  const elements = splitUnquoted(text, ',');
  if (header === 'X-Forwarded-For') return elements;
  return elements.map((element) => {
    const pairs = splitUnquoted(element, ';').map((pair) => /^\s*for\s*=\s*(.*?)\s*$/is.exec(pair)?.[1]);
    return (pairs.find((value) => value !== undefined) ?? '').replace(/^"(.*)"$/s, '$1');
  });
}

/** Splits at a character, but not within quotes. */
function splitUnquoted(text: string, separator: ',' | ';'): string[] {
  const parts = [''];
  let isQuoted = false;
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted;
    if (character === separator && !isQuoted) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`. */
function readEntry(entry: string): IpAddress | null {
  const text = entry.trim();
  const [, bracketed] = /^\[(.+)\](?::\d+)?$/.exec(text) ?? [];
  const [, withoutPort] = /^([\d.]+):\d+$/.exec(text) ?? [];
  return readIpAddress(bracketed ?? withoutPort ?? text);
}
