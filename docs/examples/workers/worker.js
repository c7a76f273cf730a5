// Your own Worker, with worldkeep next to your routes. A player who asks for a ticket gets a session of the space.
import { Hono } from 'hono';
import worldkeep from 'worldkeep/worker';

const app = new Hono();

/** Calls worldkeep in the same Worker: no request leaves it. */
function call(c, method, path, body) {
  const headers = { Authorization: `Bearer ${c.env.WORLDKEEP_API_KEY}`, 'Content-Type': 'application/json' };
  const request = new Request(new URL(path, c.req.url), { method, headers, body: JSON.stringify(body) });
  return worldkeep.fetch(request, c.env, c.executionCtx);
}

app.get('/hello', (c) => c.text('This is your own route.'));

// Here your game decides who the player is. This example believes the name.
app.post('/ticket/:name', async (c) => {
  const userId = c.req.param('name');
  // Without the encoding, a name such as `../spaces/main` would call another route with the key of this Worker.
  const person = await call(c, 'PUT', `/v1/users/${encodeURIComponent(userId)}`, { displayName: userId });
  if (!person.ok) return person;
  return call(c, 'POST', '/v1/sessions', { userId, spaceId: c.env.SPACE, role: 'editor' });
});

// worldkeep serves all other paths: /v1, /jobs, /health, /docs.
app.all('*', (c) => worldkeep.fetch(c.req.raw, c.env, c.executionCtx));

export default app;
