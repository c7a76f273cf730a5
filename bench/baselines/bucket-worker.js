/** The bucket and nothing else: no login, no check, no database. */
export default {
  async fetch(request, { ASSETS_BUCKET: bucket }) {
    if (request.method === 'PUT') {
      await bucket.put('file', request.body);
      return new Response(null, { status: 201 });
    }
    const object = await bucket.get('file');
    if (object === null) return new Response(null, { status: 404 });
    return new Response(object.body, { headers: { 'Content-Length': String(object.size) } });
  },
};
