import ipaddr from 'ipaddr.js';

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

/** A range of addresses, as its first one and the bits that all of them share. */
export type IpRange = readonly [first: IpAddress, bits: number];

/** @returns null for text that is not an address. An IPv4 address within IPv6 is read as IPv4. */
export function readIpAddress(text: string): IpAddress | null {
  // The library also reads `127.1`, `0x7f000001` and other old forms: no proxy writes them.
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
  return isAddress ? ipaddr.process(text) : null;
}

/** @param text an address, or a range like `10.0.0.0/8`. @returns null for other text, and a range of all addresses */
export function readIpRange(text: string): IpRange | null {
  const [first = '', bits, ...rest] = text.split('/');
  const address = readIpAddress(first);
  if (address === null || rest.length > 0) return null;
  const bitsMax = address.kind() === 'ipv4' ? 32 : 128;
  if (bits === undefined) return [address, bitsMax];
  // A range of IPv4 addresses within IPv6 counts its bits from the start of the IPv6 address.
  const isMapped = address.kind() === 'ipv4' && first.includes(':');
  if (isMapped || !/^[1-9]\d{0,2}$/.test(bits) || Number(bits) > bitsMax) return null;
  return [address, Number(bits)];
}

export function isWithin(address: IpAddress, ranges: readonly IpRange[]): boolean {
  return ranges.some(([first, bits]) => first.kind() === address.kind() && address.match(first, bits));
}
