import { expect, it } from 'vitest';
import { groupAddress } from './rate-limit.ts';

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::'],
  ['2001:DB8:1:2:ffff::1', '2001:db8:1:2::'],
  ['2001:0db8:0001:0002::', '2001:db8:1:2::'],
  ['2001:db8::1', '2001:db8:0:0::'],
  ['fe80::1%eth0', 'fe80:0:0:0::'],
  ['::1', '0:0:0:0::'],
  ['', 'unknown'],
  ['not an address', 'unknown'],
  ['1'.repeat(46), 'unknown'],
])('counts %j with all that one caller has: %s', (address, group) => {
  expect(groupAddress(address)).toBe(group);
});
