import type { SpaceStream } from '../../src/live/space-stream.ts';
import type { OpenStreamRequest } from '../../src/live/space-streams.ts';
import { readSeqText } from '../../src/world/change.ts';
import { isStillAllowed } from '../http/auth.ts';
import type { AppContext } from '../http/context.ts';
import { readDefer } from '../http/defer.ts';
import { readParam } from '../http/input.ts';
import { readFlagParameter, readMoveForm, readQuery, readSince, refuseParameter } from '../http/query.ts';
import { noLiveLog } from './changes.ts';

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  // A header of nginx, which other proxies use too: it turns buffering off.
  'X-Accel-Buffering': 'no',
};

/** GET /v1/spaces/{space}/stream */
export async function getStream(c: AppContext): Promise<Response> {
  const query = readQuery(c, ['since', 'access_token', 'expand', 'committed']);
  const from = readFrom(c, query);
  const moves = readMoveForm(query.expand);
  const sendsCommitted = readFlagParameter('committed', query.committed);
  const { streams, cut, metrics } = c.get('services');
  if (streams === null) throw noLiveLog();
  const principal = c.get('principal');
  const address = { tenantId: principal.tenantId, spaceId: readParam(c, 'space') };
  if (c.req.method === 'HEAD') {
    await streams.check(address);
    return c.body(null, 200, HEADERS);
  }
  const stream = await streams.open({
    ...address,
    principal,
    from,
    moves,
    sendsCommitted,
    defer: readDefer(c),
    isAllowed: () => isStillAllowed(c),
    onEnd: (end) => {
      // Text that was sent before is still in flight to a client that does not read.
      if (end === 'slow') cut(c);
    },
  });
  metrics.add('worldkeep_streams_opened_total', {});
  return c.body(toBody(stream), 200, HEADERS);
}

/** `Last-Event-ID` is what a client saw last; `since` stays in the URL that it comes again to. */
function readFrom(
  c: AppContext,
  query: { since?: string; access_token?: string },
): OpenStreamRequest['from'] {
  if (query.access_token !== undefined && c.req.header('Authorization') !== undefined)
    throw refuseParameter('access_token', 'must not be used together with an Authorization header');
  const since = readSince(query.since);
  const lastEventId = c.req.header('Last-Event-ID') ?? '';
  if (lastEventId === '') return since === null ? null : { seq: since, isExact: false };
  const seq = readSeqText(lastEventId);
  if (seq === null) throw refuseParameter('Last-Event-ID', 'must be the id of an event of this stream');
  return { seq, isExact: true };
}

/** Sent as fast as it is read: what waits is in the stream, which knows how much it may be. */
function toBody(stream: SpaceStream): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await stream.take();
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
      cancel: () => stream.end('gone'),
    },
    { highWaterMark: 0 },
  );
}
