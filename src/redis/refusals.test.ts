import { expect, it } from 'vitest';
import { explainRefusal } from './refusals.ts';

const VARIABLES = { address: 'REDIS_URL', password: 'REDIS_URL' };

it.each([
  [
    'a server that is no Redis',
    new Error('Unknown RESP type 72 "H". Please report this.'),
    'The server at REDIS_URL does not answer as Redis does. Correct the host and the port.',
  ],
  [
    'a TLS handshake that no server answers',
    Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' }),
    /^No connection to Redis at REDIS_URL was made in time \(ETIMEDOUT\)\..* rediss:/,
  ],
])('names the variable and the cause of %s', (_, error, sentence) => {
  expect(explainRefusal(error, VARIABLES)).toMatchObject({
    code: 'store_unavailable',
    message: sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence,
  });
});

it('names no cause that it does not know', () => {
  expect(explainRefusal(new Error('Command timed out'), VARIABLES)).toBeNull();
});
