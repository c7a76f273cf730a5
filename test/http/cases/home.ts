import { describe, expect, it } from 'vitest';
import { createCall } from '../client.ts';
import type { Target } from '../targets.ts';

export function describeHome(target: () => Target): void {
  describe('GET /', () => {
    it('describes the server, with links that work', async () => {
      const call = createCall(target(), null);
      const { status, body } = await call('GET', '/');
      expect([status, body.name]).toEqual([200, 'worldkeep']);
      for (const path of Object.values(body.links as Record<string, string>))
        expect([path, (await call('GET', path)).status]).toEqual([path, 200]);
    });

    it('gives browsers a page', async () => {
      const call = createCall(target(), null);
      const { status, headers, text } = await call('GET', '/', { headers: { Accept: 'text/html' } });
      expect([status, headers.get('Content-Type')?.toLowerCase()]).toEqual([200, 'text/html; charset=utf-8']);
      expect(headers.get('Vary')).toContain('Accept');
      expect(headers.get('Content-Security-Policy')).toContain("default-src 'none'");
      expect(text).toContain('<title>');
      const tag = headers.get('ETag');
      if (tag === null) return;
      // This server has the files of the page.
      const known = { Accept: 'text/html', 'If-None-Match': tag };
      expect((await call('GET', '/', { headers: known })).status).toBe(304);
    });
  });
}
