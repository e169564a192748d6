import { expect, onTestFinished, test } from 'vitest';
import { exchangeRaw, cluster, route, routes, startRaw } from '../../listener/testing/rig.ts';
import { TimerWheel } from '../../transport/timer-wheel.ts';
import { SecretStore } from '../../transport/secrets.ts';
import { ClusterRuntime } from '../../upstream/cluster.ts';
import { ListenerRuntime } from '../../listener/listener.ts';
import { listener } from '../../listener/testing/rig.ts';
import { Counters } from '../counters.ts';
import { compileRouteTable } from '../route-table.ts';
import type { RouteFilter } from './chain.ts';

/** A listener whose only route has these filters, in front of an upstream that answers `hello`. */
async function serve(filters: readonly RouteFilter[]): Promise<{ port: number; received: string[] }> {
  const upstream = await startRaw((chunk, socket) => {
    if (chunk.includes('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-old: 1\r\n\r\nhello');
  });
  onTestFinished(() => upstream.close());
  const deps = { clock: () => performance.now(), random: Math.random, onRequestEnd: () => undefined };
  const secrets = new SecretStore();
  const wheel = new TimerWheel(deps.clock);
  const clusters = new Map([['app', new ClusterRuntime(cluster([upstream.port]), deps, secrets, wheel)]]);
  const table = compileRouteTable(
    routes([route({})]),
    filters.map((filter) => () => filter),
  );
  const server = new ListenerRuntime(listener(), { deps, wheel, secrets, clusters, routeSlot: () => ({ table }), counters: new Counters(), failing: false });
  await server.listen();
  onTestFinished(() => server.close());
  onTestFinished(() => clusters.get('app')?.closeAll());
  return { port: server.stats().port, received: upstream.received };
}

const get = 'GET /x HTTP/1.1\r\nhost: a\r\nx-in: 1\r\n\r\n';

test('requests meet filters in order, responses in reverse, ends once', async () => {
  const seen: string[] = [];
  const filter = (name: string): RouteFilter => ({
    onRequest(request) {
      seen.push(`request ${name} ${request.path}`);
      request.setRequestHeader('x-in', name);
      return 'next';
    },
    onResponse(request, status, head) {
      seen.push(`response ${name} ${status} ${head?.fields.get('x-old') ?? ''}`);
      request.setResponseHeader('x-old', name);
    },
    onEnd: (request) => void seen.push(`end ${name} ${request.record.status}`),
  });
  const { port, received } = await serve([filter('a'), filter('b')]);
  const text = await exchangeRaw(port, get, (all) => all.endsWith('hello'));
  expect(seen).toEqual(['request a /x', 'request b /x', 'response b 200 1', 'response a 200 1', 'end a 200', 'end b 200']);
  expect(text.match(/x-old: .*/g)).toEqual(['x-old: b', 'x-old: a']);
  expect(received[0]?.match(/x-in: .*/g)).toEqual(['x-in: a', 'x-in: b']);
});

test('a filter may answer itself; those behind it never see the request', async () => {
  const ends: number[] = [];
  const { port, received } = await serve([
    {
      onRequest(request) {
        request.answer(429, 'slow down', 'RL', 'local_rate_limited', 'x-limited: 1\r\n');
        return 'stop';
      },
    },
    { onRequest: () => 'next', onEnd: (request) => void ends.push(request.record.status) },
  ]);
  expect(await exchangeRaw(port, get, (all) => all.endsWith('slow down'))).toMatch(/^HTTP\/1.1 429 [\s\S]*x-limited: 1/);
  expect(received).toEqual([]);
  expect(ends).toEqual([429]);
});

test('a filter may wait; the body that comes meanwhile is kept', async () => {
  const taps: string[] = [];
  const { port, received } = await serve([
    {
      onRequest(request) {
        request.tap = {
          data: (bytes, start, end) => void taps.push(bytes.toString('latin1', start, end)),
          end: () => void taps.push('end'),
          abort: () => void taps.push('abort'),
        };
        request.continueAfter(20);
        return 'stop';
      },
    },
  ]);
  await exchangeRaw(port, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody', (all) => all.endsWith('hello'));
  expect(received[0]?.endsWith('\r\n\r\nbody')).toBe(true);
  expect(taps).toEqual(['body', 'end']);
});
