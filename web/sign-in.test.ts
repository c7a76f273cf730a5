import { describe, expect, it } from 'vitest';
import { readLink } from './sign-in.ts';

describe('a sign-in link', () => {
  it('names a space and a token', () => {
    expect(readLink('https://worlds.example/#space=plaza&token=a.b.c')).toEqual({
      space: 'plaza',
      token: 'a.b.c',
    });
    const parameters = new URLSearchParams({ space: 'a b&c', token: 'x-y.z_0.1' });
    expect(readLink(`http://127.0.0.1:8787/#${parameters}`)).toEqual({ space: 'a b&c', token: 'x-y.z_0.1' });
  });

  it.each([
    ['https://worlds.example/', 'none'],
    ['https://worlds.example/#', 'none'],
    ['', 'none'],
    ['https://worlds.example/#space=plaza', 'incomplete'],
    ['https://worlds.example/#space=&token=a.b.c', 'incomplete'],
    ['https://worlds.example/#anything', 'incomplete'],
    ['https://worlds.example/#space=plaza&token=wk_live_secret', 'api_key'],
    ['https://worlds.example/#space=plaza&token=a.b', 'no_token'],
  ])('%s is refused as %s', (link, problem) => {
    expect(readLink(link)).toBe(problem);
  });
});
