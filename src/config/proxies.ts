import { type IpRange, readIpRange } from '../helpers/ip-addresses.ts';
import { type Env, misconfigured, read, refuseValue } from './values.ts';

const PROXY_HEADERS = ['X-Forwarded-For', 'Forwarded', 'CF-Connecting-IP'] as const;

/** The proxies that Node trusts to report a caller's address. On Workers, Cloudflare reports it. */
export interface TrustedProxies {
  ranges: readonly IpRange[];
  /** The one header that these proxies write. A caller can forge every other header: the proxies pass it on. */
  header: (typeof PROXY_HEADERS)[number];
}

/**
 * Not part of `parseConfig`: only Node needs it, and the parser of addresses would be 2 % of the Worker.
 * @returns null if no proxy is trusted. The caller's address is then the other end of the connection.
 * @throws misconfigured
 */
export function readTrustedProxies(env: Env): TrustedProxies | null {
  const [list, name] = [read(env, 'TRUSTED_PROXIES'), read(env, 'TRUSTED_PROXY_HEADER')];
  if (list === null) {
    if (name === null) return null;
    throw misconfigured('TRUSTED_PROXY_HEADER', 'needs TRUSTED_PROXIES. Set TRUSTED_PROXIES too.');
  }
  const header = PROXY_HEADERS.find((known) => known.toLowerCase() === (name ?? known).toLowerCase());
  if (header === undefined)
    throw refuseValue(env, 'TRUSTED_PROXY_HEADER', `must be one of ${PROXY_HEADERS.join(', ')}`);
  const ranges = list.split(',').map((part) => {
    const range = readIpRange(part.trim());
    if (range !== null) return range;
    const shown = JSON.stringify(part.trim().slice(0, 60));
    throw misconfigured(
      'TRUSTED_PROXIES',
      `must be IP addresses or ranges like 10.0.0.0/8, separated by commas, not ${shown}.`,
    );
  });
  return { ranges, header };
}
