import { describe, expect, it } from 'vitest';
import { readTrustedProxies } from '../../src/config/proxies.ts';
import { readClientAddress } from './client-address.ts';

function read(
  peer: string | null,
  headers: Record<string, string>,
  proxies: string,
  header = '',
): string | null {
  const trusted = readTrustedProxies({ TRUSTED_PROXIES: proxies, TRUSTED_PROXY_HEADER: header });
  return readClientAddress(peer, (name) => headers[name.toLowerCase()], trusted);
}
const PROXIES = '10.0.0.0/8, 192.0.2.7,2001:db8:ff::/48';
const forwardedFor = (value: string) => ({ 'x-forwarded-for': value });

describe('the address of a caller behind a proxy', () => {
  it.each<[string, string, string]>([
    ['the proxy names it', '10.1.2.3', '198.51.100.4'],
    ['the proxy is reached over IPv6', '::ffff:10.1.2.3', '198.51.100.4'],
    ['there is a port behind it', '10.1.2.3', '198.51.100.4:4711'],
    ['several proxies are between', '192.0.2.7', '198.51.100.4, 2001:db8:ff::1, 10.9.9.9'],
    ['the caller has invented others before it', '10.1.2.3', '203.0.113.1, 10.0.0.1, 198.51.100.4'],
  ])('is found where %s', (_, peer, value) => {
    expect(read(peer, forwardedFor(value), PROXIES)).toBe('198.51.100.4');
  });

  it.each<[string, string | null, string, string | null]>([
    ['no proxy sent it', '198.51.100.9', '198.51.100.4', '198.51.100.9'],
    ['nobody knows who sent it', null, '198.51.100.4', null],
    ['it is empty', '10.1.2.3', '', '10.1.2.3'],
    ['the last entry is no address', '10.1.2.3', '198.51.100.4, unknown', '10.1.2.3'],
    ['an entry between is no address', '10.1.2.3', '198.51.100.4, _hidden, 10.9.9.9', '10.9.9.9'],
    ['an entry has another form of an address', '10.1.2.3', '0x7f.1', '10.1.2.3'],
    ['all are proxies', '10.1.2.3', '10.7.7.7, 10.8.8.8', '10.7.7.7'],
  ])('is the last that is sure where %s', (_, peer, value, expected) => {
    expect(read(peer, forwardedFor(value), PROXIES)).toBe(expected);
  });

  it.each([
    ['for=198.51.100.4', '198.51.100.4'],
    ['proto=https;For="[2001:db8::4]:4711";by=10.0.0.1', '2001:db8::4'],
    ['for="a, for=203.0.113.1", for=198.51.100.4;host="x;y", for="10.9.9.9"', '198.51.100.4'],
    ['for=203.0.113.1, by=10.0.0.1', '10.1.2.3'],
  ])('is read from Forwarded: %s', (value, expected) => {
    const headers = { forwarded: value, ...forwardedFor('203.0.113.99') };
    expect(read('10.1.2.3', headers, PROXIES, 'forwarded')).toBe(expected);
  });

  it('is read from CF-Connecting-IP as it is', () => {
    const headers = { 'cf-connecting-ip': '198.51.100.4' };
    expect(read('10.1.2.3', headers, PROXIES, 'CF-Connecting-IP')).toBe('198.51.100.4');
    const list = { 'cf-connecting-ip': '203.0.113.1, 198.51.100.4' };
    expect(read('10.1.2.3', list, PROXIES, 'CF-Connecting-IP')).toBe('10.1.2.3');
  });

  it('is read from no header but the one that the proxies write', () => {
    const headers = { forwarded: 'for=203.0.113.1', 'cf-connecting-ip': '203.0.113.2' };
    expect(read('10.1.2.3', headers, PROXIES)).toBe('10.1.2.3');
  });

  it('is the other end of the connection by default', () => {
    expect(read('10.1.2.3', forwardedFor('203.0.113.1'), '')).toBe('10.1.2.3');
  });

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0',
    'proxy.example',
    '::ffff:10.0.0.0/104',
    '0.0.0.0/0',
    '10.0.0.1,',
  ])('is refused by name where TRUSTED_PROXIES is %s', (proxies) => {
    expect(() => read(null, {}, proxies)).toThrow(/^TRUSTED_PROXIES must be IP addresses or ranges/);
  });

  it('is refused by name where the header is not known, or no proxy is trusted', () => {
    expect(() => read(null, {}, PROXIES, 'X-Real-IP')).toThrow(
      /^TRUSTED_PROXY_HEADER must be one of .*"X-Real-IP"/,
    );
    expect(() => read(null, {}, '', 'Forwarded')).toThrow(/^TRUSTED_PROXY_HEADER needs TRUSTED_PROXIES/);
  });
});
