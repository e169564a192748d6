import { type ClientRequest, request, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { expect, test } from 'vitest';
import { collectStats } from '../admin/stats-text.ts';
import type { ClusterConfig, LoadAssignment, RetryPolicy } from '../config/model.ts';
import type { ClusterStats } from './hooks.ts';
import { cluster, endpoint, exchangeRaw, outlierRules, route, routes, startRaw, startRig } from '../listener/testing/rig.ts';
import { listening, startApp, track } from '../listener/testing/app.ts';

const noOps = { add: [], remove: [] };

function ask(
  port: number,
  options: { method?: string; path?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: '127.0.0.1', method: options.method ?? 'GET', path: options.path ?? '/', headers: options.headers ?? {} },
      (response) => {
        let body = '';
        response.setEncoding('latin1').on('data', (part: string) => (body += part));
        response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      },
    );
    sent.on('error', reject).end(options.body);
  });
}

function retry(overrides: Partial<RetryPolicy>): RetryPolicy {
  return {
    on: ['5xx'],
    statusCodes: [],
    retries: 2,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    baseIntervalMs: 1,
    maxIntervalMs: 10,
    retriableHeaders: [],
    requestHeaders: [],
    avoidPreviousHosts: true,
    hostSelectionAttempts: 5,
    ...overrides,
  };
}

test('a route timeout answers 504 UT', async () => {
  const upstream = track(await startRaw(() => undefined));
  const rig = track(await startRig({ clusters: [cluster([upstream.port])], routes: routes([route({ timeoutMs: 60 })]) }));
  expect((await ask(rig.port)).status).toBe(504);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UT', attempts: 1 });
  expect(rig.records[0]?.durationMs).toBeGreaterThanOrEqual(60);
});

test.each([
  // Neither asks a resolver of the network: no name at all, and longer than one may be.
  ['weft..invalid', 'cares_norecords:Domain_name_not_found'],
  [`${'long.'.repeat(60)}invalid`, 'cares_failure:Could_not_contact_DNS_servers'],
])('an address that cannot be looked up answers 503 DF, not tried again', async (address, details) => {
  const localities = [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: [endpoint(80, { address })] }];
  const unknown = cluster([], { endpoints: { clusterName: 'app', overprovisioning: 140, weightedPriorityHealth: false, localities } });
  const rig = track(await startRig({ clusters: [unknown], routes: routes([route({ retry: retry({ on: ['5xx', 'connect-failure'] }) })]) }));
  expect(await ask(rig.port)).toMatchObject({ status: 503, body: 'DNS resolution failure' });
  expect(rig.records[0]).toMatchObject({ responseFlags: 'DF', attempts: 1, details: `dns_resolution_failure{${details}}` });
});

test('a per-try timeout tries again, with the body', async () => {
  let count = 0;
  const upstream = await startApp((incoming, response) => {
    if (++count > 1) incoming.pipe(response);
  });
  const rig = track(await startRig({ clusters: [cluster([upstream])], routes: routes([route({ retry: retry({ perTryTimeoutMs: 60 }) })]) }));
  expect(await ask(rig.port, { method: 'POST', body: 'again' })).toMatchObject({ status: 200, body: 'again' });
  expect(rig.records[0]).toMatchObject({ attempts: 2, responseFlags: '-' });
});

test.each<[string, string[], number[], number, number]>([
  ['5xx', ['5xx'], [], 500, 200],
  ['gateway-error for 502', ['gateway-error'], [], 502, 200],
  ['gateway-error not for 500', ['gateway-error'], [], 500, 500],
  ['retriable-4xx', ['retriable-4xx'], [], 409, 200],
  ['retriable-status-codes', ['retriable-status-codes'], [429], 429, 200],
  ['a listed code only', ['retriable-status-codes'], [429], 503, 503],
])('retries on %s', async (_, on, statusCodes, first, last) => {
  let count = 0;
  const upstream = await startApp((__, response) => {
    response.statusCode = ++count === 1 ? first : 200;
    response.end('done');
  });
  const rig = track(await startRig({ clusters: [cluster([upstream])], routes: routes([route({ retry: retry({ on, statusCodes }) })]) }));
  expect((await ask(rig.port)).status).toBe(last);
  expect(rig.records[0]?.attempts).toBe(first === last ? 1 : 2);
});

test('a connect failure goes on to another host; a reset is UC without a policy', async () => {
  const good = await startApp((_, response) => response.end('good'));
  const rig = track(await startRig({ clusters: [cluster([1, good])], routes: routes([route({ retry: retry({ on: ['connect-failure'] }) })]) }));
  for (let i = 0; i < 4; i++) expect((await ask(rig.port)).status).toBe(200);
  expect(rig.records.some((record) => record.attempts === 2)).toBe(true);
});

test('retries end: the last failure is given with URX', async () => {
  const upstream = await startApp((_, response) => {
    response.statusCode = 500;
    response.end('bad');
  });
  const rig = track(await startRig({ clusters: [cluster([upstream])], routes: routes([route({ retry: retry({ retries: 2 }) })]) }));
  expect(await ask(rig.port)).toMatchObject({ status: 500, body: 'bad' });
  expect(rig.records[0]).toMatchObject({ attempts: 3, responseFlags: 'URX' });
});

test('the breaker answers 503 UO above its limits and admits again below', async () => {
  const held: (() => void)[] = [];
  const upstream = await startApp((_, response) => void held.push(() => response.end('ok')));
  const limits = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 100, maxRetries: 3 };
  const rig = track(await startRig({ clusters: [cluster([upstream], { circuitBreaker: limits })] }));
  const first = ask(rig.port);
  await expect.poll(() => held.length).toBe(1);
  const second = ask(rig.port);
  await expect.poll(() => rig.runtime.stats().clusters[0]?.pendingRequests).toBe(1);
  const third = await ask(rig.port);
  expect(third).toMatchObject({ status: 503 });
  expect(third.headers['x-envoy-overloaded']).toBe('true');
  expect(rig.records[0]?.responseFlags).toBe('UO');
  held.shift()?.();
  expect((await first).status).toBe(200);
  await expect.poll(() => held.length).toBe(1);
  held.shift()?.();
  expect((await second).status).toBe(200);
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ pendingRequests: 0, activeRequests: 0 });
});

test('requests that wait for a connection do not count; those beyond the limit fail when they get one', async () => {
  const held: (() => void)[] = [];
  const upstream = await startApp((_, response) => void held.push(() => response.end('ok')));
  const limits = { maxConnections: 1, maxPendingRequests: 9, maxRequests: 1, maxRetries: 3 };
  const queued = track(await startRig({ clusters: [cluster([upstream], { circuitBreaker: limits })] }));
  const two = [ask(queued.port), ask(queued.port)];
  for (let i = 0; i < 2; i++) {
    await expect.poll(() => held.length).toBe(1);
    expect(queued.runtime.stats().clusters[0]).toMatchObject({ activeRequests: 1, pendingRequests: 1 - i });
    held.shift()?.();
  }
  expect((await Promise.all(two)).map((answer) => answer.status)).toEqual([200, 200]);

  const wide = track(await startRig({ clusters: [cluster([upstream], { circuitBreaker: { ...limits, maxConnections: 9 } })] }));
  const first = ask(wide.port);
  await expect.poll(() => held.length).toBe(1);
  expect(await ask(wide.port)).toMatchObject({ status: 503 });
  expect(wide.records[0]).toMatchObject({ responseFlags: 'UO', details: 'upstream_reset_before_response_started{overflow}' });
  held.shift()?.();
  expect((await first).status).toBe(200);
  expect(wide.runtime.stats().clusters[0]).toMatchObject({ pendingRequests: 0, activeRequests: 0, overflow: 1 });
});

test('a changed cluster lets ejected hosts back and counts anew, new endpoints alone do not; ejections are counted on', async () => {
  const bad = await startApp((_, response) => response.writeHead(500).end());
  const good = await startApp((_, response) => response.end());
  const another = await startApp((_, response) => response.end());
  const outlier = outlierRules({ consecutive5xx: 3, maxEjectionPercent: 100 });
  const found = ({ endpoints }: ClusterConfig): LoadAssignment => endpoints as LoadAssignment;
  const { endpoints: _, ...discovered } = cluster([], { outlier, discovery: 'eds' });
  const rig = track(await startRig({ clusters: [discovered] }));
  const stats = (): ClusterStats | undefined => rig.runtime.stats().clusters[0];
  const out = (): number | undefined => stats()?.endpoints.filter((endpoint) => endpoint.ejected).length;
  const askTimes = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await ask(rig.port);
  };
  rig.runtime.applyEndpoints(found(cluster([bad, good])));
  await askTimes(6);
  expect(out()).toBe(1);
  rig.runtime.applyEndpoints(found(cluster([bad, good, another])));
  expect(out()).toBe(1);
  for (const connectTimeoutMs of [2000, 3000]) {
    rig.runtime.applyCluster({ ...discovered, connectTimeoutMs });
    expect(out()).toBe(0);
    // Two errors: one short, each time.
    await askTimes(6);
    expect(out()).toBe(0);
  }
  expect(stats()?.ejections.get('consecutive_5xx')).toBe(1);
});

test('an endpoint keeps its state over a change of weight, metadata, health or priority; in another place, or by another name, it begins anew', async () => {
  const bad = await startApp((_, response) => response.writeHead(500).end());
  const good = await startApp((_, response) => response.end());
  const config = cluster([bad, good], { outlier: outlierRules({ consecutive5xx: 2, maxEjectionPercent: 100 }), discovery: 'eds' });
  const { endpoints: _, ...discovered } = config;
  const rig = track(await startRig({ clusters: [discovered] }));
  const told = (place: object, change: object): { ejected: boolean; totalRequests: number } | undefined => {
    const localities = (config.endpoints as LoadAssignment).localities.map((locality) => ({
      ...{ ...locality, ...place },
      endpoints: locality.endpoints.map((one) => ({ ...one, ...change })),
    }));
    rig.runtime.applyEndpoints({ ...(config.endpoints as LoadAssignment), localities });
    return rig.runtime.stats().clusters[0]?.endpoints[0];
  };
  const eject = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) await ask(rig.port);
  };
  told({}, {});
  await eject();
  for (const change of [{ weight: 5 }, { metadata: { 'envoy.lb': { a: 'b' } } }, { health: 'degraded' }, {}])
    expect(told({ priority: 1 }, change)).toMatchObject({ ejected: true, totalRequests: 2 });
  expect(told({ zone: 'elsewhere' }, {})).toMatchObject({ ejected: false, totalRequests: 0 });
  await eject();
  expect(told({ zone: 'elsewhere' }, {})).toMatchObject({ ejected: true, totalRequests: 2 });
  expect(told({ zone: 'elsewhere' }, { hostname: 'other.test' })).toMatchObject({ ejected: false, totalRequests: 0 });
});

test('consecutive errors eject a host and it comes back', async () => {
  let broken = true;
  const bad = await startApp((_, response) => {
    response.statusCode = broken ? 500 : 200;
    response.end('bad');
  });
  const good = await startApp((_, response) => response.end('good'));
  const outlier = outlierRules({ consecutive5xx: 3, interval: '0.05s', baseEjectionTime: '0.15s', maxEjectionTime: '0.3s', maxEjectionPercent: 100 });
  const rig = track(await startRig({ clusters: [cluster([bad, good], { outlier })] }));
  const ejected = (): boolean => rig.runtime.stats().clusters[0]?.endpoints.some((endpoint) => endpoint.ejected) ?? false;
  for (let i = 0; i < 20 && !ejected(); i++) await ask(rig.port);
  expect(ejected()).toBe(true);
  const told = [...collectStats(rig.runtime.stats(), {})].flatMap(([name, value]) =>
    name.includes('ejections_') ? [[name.split('outlier_detection.')[1], value]] : [],
  );
  expect(Object.fromEntries(told)).toEqual({ ejections_active: 1, ejections_enforced_total: 1, ejections_enforced_consecutive_5xx: 1 });
  broken = false;
  expect((await Promise.all([ask(rig.port), ask(rig.port), ask(rig.port), ask(rig.port)])).map((answer) => answer.body)).toEqual([
    'good',
    'good',
    'good',
    'good',
  ]);
  await expect.poll(ejected, { timeout: 3000 }).toBe(false);
});

test('weights hold and header operations apply per destination', async () => {
  const a = await startApp((incoming, response) => response.end(`a ${String(incoming.headers['x-to'])}`));
  const b = await startApp((incoming, response) => response.end(`b ${String(incoming.headers['x-to'])}`));
  const to = (name: string, weight: number): object => ({
    name,
    weight,
    requestHeaders: { add: [{ name: 'x-to', value: name, action: 'overwrite', keepEmpty: false }], remove: [] },
    responseHeaders: { add: [{ name: 'x-from', value: name, action: 'append', keepEmpty: false }], remove: ['date'] },
  });
  let turn = 0;
  const rig = track(
    await startRig({
      clusters: [cluster([a], { name: 'ca' }), cluster([b], { name: 'cb' })],
      routes: routes([route({ clusters: [to('ca', 90), to('cb', 10)] as never, prefixRewrite: '/new', hostRewrite: { kind: 'literal', host: 'other' } })]),
      // The weighted pick is the only draw of these clusters that matters: one host each.
      deps: { random: () => (turn++ % 100) / 100 },
    }),
  );
  const bodies: string[] = [];
  for (let i = 0; i < 100; i++) bodies.push((await ask(rig.port, { headers: { 'x-to': 'spoofed' } })).body);
  const share = bodies.filter((body) => body === 'b cb').length;
  expect(bodies.every((body) => body === 'a ca' || body === 'b cb')).toBe(true);
  expect(share).toBeGreaterThan(4);
  expect(share).toBeLessThan(17);
});

test('swapping routes, clusters and listeners under load loses nothing', async () => {
  const a = await startApp((_, response) => response.end('a'));
  const b = await startApp((_, response) => response.end('b'));
  const split = (x: number): ReturnType<typeof routes> =>
    routes([
      route({
        clusters: [
          { name: 'ca', weight: x, requestHeaders: noOps, responseHeaders: noOps },
          { name: 'cb', weight: 100 - x, requestHeaders: noOps, responseHeaders: noOps },
        ],
      }),
    ]);
  const rig = track(await startRig({ clusters: [cluster([a], { name: 'ca' }), cluster([b], { name: 'cb' })], routes: split(50) }));
  let running = true;
  let bad = 0;
  let good = 0;
  const client = async (): Promise<void> => {
    while (running) {
      const status = await ask(rig.port).then(
        (answer) => answer.status,
        () => 0,
      );
      if (status === 200) good++;
      else bad++;
    }
  };
  const clients = Array.from({ length: 4 }, client);
  for (let i = 0; i < 50; i++) {
    rig.runtime.applyRoutes(split(i * 2));
    rig.runtime.applyCluster(cluster([a, b], { name: i % 2 === 0 ? 'ca' : 'cb', connectTimeoutMs: 1000 + i }));
    const seen = good;
    await expect.poll(() => good > seen + 3, { interval: 1 }).toBe(true);
  }
  running = false;
  await Promise.all(clients);
  expect(bad).toBe(0);
  expect(good).toBeGreaterThan(150);
});

test('drain: running requests end with connection: close, then all is closed', async () => {
  let release: () => void = () => undefined;
  const upstream = await startApp((_, response) => {
    release = () => response.end('late');
  });
  const rig = await startRig({ clusters: [cluster([upstream])] });
  const answer = exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(1);
  const drained = rig.runtime.drain(3000);
  await expect.poll(() => rig.runtime.stats().listeners[0]?.listening ?? false).toBe(false);
  release();
  expect(await answer).toMatch(/connection: close\r\n[\s\S]*late$/);
  await drained;
});

test('a cluster may say which statuses are errors', async () => {
  const teapot = await startApp((_, response) => {
    response.statusCode = 418;
    response.end();
  });
  const { http } = cluster([]);
  const codes = (value: string): ReturnType<typeof cluster> =>
    cluster([teapot], {
      outlier: outlierRules({ consecutive5xx: 1, maxEjectionPercent: 100 }),
      http: { ...http, errorStatus: { kind: 'regex', value, ignoreCase: false } },
    });
  for (const [value, out] of [
    ['500|418', true],
    ['500', false],
  ] as const) {
    const rig = track(await startRig({ clusters: [codes(value)] }));
    await ask(rig.port);
    expect(rig.runtime.stats().clusters[0]?.endpoints[0]?.ejected).toBe(out);
  }
});

test.each(['http1', 'http2'] as const)('an answer that was tried again and does not end is given up (%s)', async (protocol) => {
  let asked = 0;
  let givenUp = false;
  const handler = (_: unknown, response: ServerResponse): void => {
    if (asked++ > 0) return void response.end('ok');
    response.writeHead(503, { 'content-length': 5 });
    response.on('close', () => (givenUp = true)).write('un');
  };
  const port = await (protocol === 'http1'
    ? startApp(handler)
    : listening(createHttp2Server((asked, answer) => handler(asked, answer as unknown as ServerResponse))));
  const app = cluster([port]);
  const rig = track(await startRig({ clusters: [{ ...app, http: { ...app.http, protocol } }], routes: routes([route({ retry: retry({}) })]) }));
  expect(await ask(rig.port)).toMatchObject({ status: 200, body: 'ok' });
  await expect.poll(() => givenUp, { timeout: 10_000 }).toBe(true);
});

test('a flag is told once, however often it is set', async () => {
  const waiting: ServerResponse[] = [];
  const app = await startApp((_, response) => void waiting.push(response));
  const hedged = route({ retry: retry({ retries: 1, perTryTimeoutMs: 30 }), hedgeOnPerTryTimeout: true });
  const rig = track(await startRig({ clusters: [cluster([app])], routes: routes([hedged]) }));
  const answer = ask(rig.port);
  // Of the second try too the time is over: no retry is left, and none for what it answers.
  await expect.poll(() => rig.runtime.stats().clusters[0]?.endpoints[0]?.errors).toBe(2);
  waiting[1]?.writeHead(503).end(() => waiting[0]?.end());
  expect((await answer).status).toBe(200);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'URX', attempts: 2 });
});

test('the time of the upstream is told from the end of the request, with all tries; of a request that has not ended not at all', async () => {
  const unit = 10_000;
  let later = 0;
  let tries = 0;
  let begun = false;
  const app = await startApp((asked, response) => {
    if (asked.url === '/early') return void response.writeHead(413).end();
    begun = true;
    asked.resume().on('end', () => {
      later += unit;
      if (tries++ === 0) asked.socket.destroy();
      else response.end();
    });
  });
  const deps = { clock: () => performance.now() + later };
  const rig = track(await startRig({ clusters: [cluster([app])], routes: routes([route({ retry: retry({}) })]), deps }));
  const post = (path: string): { sent: ClientRequest; told: Promise<unknown> } => {
    const sent = request({ port: rig.port, host: '127.0.0.1', method: 'POST', path, headers: { 'content-length': 4 } });
    sent.on('error', () => undefined).flushHeaders();
    return { sent, told: new Promise((resolve) => sent.on('response', ({ headers }) => resolve(headers['x-envoy-upstream-service-time']))) };
  };
  const slow = post('/');
  await expect.poll(() => begun).toBe(true);
  later += 100 * unit;
  const early = post('/early');
  expect(await early.told).toBeUndefined();
  early.sent.destroy();
  slow.sent.end('body');
  expect(Math.floor(Number(await slow.told) / unit)).toBe(2);
  slow.sent.destroy();
  expect(rig.records.map((one) => Math.floor(one.upstreamServiceMs / unit))).toEqual([-1, 2]);
});
