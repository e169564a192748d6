// External authorization as stock Envoy has it, and the embedded proxy beside it: the same expectations for both.

import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { byShadow, GRPC_SERVICE, HTTP_SERVICE, IMPATIENT, startWorld, type World } from './ext-authz-world.ts';
import { PATIENT, PLANES } from './planes.ts';

const http = (more: object = {}, service: object = {}) => ({ kind: 'ext_authz' as const, config: { http_service: { ...HTTP_SERVICE, ...service }, ...more } });
const grpc = (more: object = {}) => ({ kind: 'ext_authz' as const, config: { grpc_service: GRPC_SERVICE, ...more } });
const shadow = (policies: Record<string, object>) => ({
  kind: 'rbac' as const,
  config: { shadow_rules: { action: 'DENY', policies }, shadow_rules_stat_prefix: 'istio_ext_authz_' },
});
const names = (...list: string[]): object => ({ patterns: list.map((exact) => ({ exact, ignore_case: true })) });
const option = (key: string, value: string, action = 0, append?: boolean) => ({
  ...{ header: { key, value }, appendAction: action },
  ...(append === undefined ? {} : { append }),
});
const ok = (value: object) => ({ status: { code: 0 }, httpResponse: { case: 'okResponse' as const, value } });

interface Checked {
  attributes: { request: { http: JsonObject & { headers: Record<string, string> } }; source: JsonObject; destination: JsonObject };
}

describe.each(PLANES)('%s', (plane) => {
  const running: World[] = [];
  afterEach(() => Promise.all(running.splice(0).map((world) => world.stop())));
  const start = async (...args: Parameters<typeof startWorld> extends [unknown, ...infer Rest] ? Rest : never): Promise<World> => {
    const world = await startWorld(plane, ...args);
    running.push(world);
    return world;
  };
  const logged = (lines: readonly string[], world = running.at(-1)): Promise<void> => vi.waitFor(() => expect(world?.log()).toEqual(lines), PATIENT);

  test('a service over HTTP is told method, host, path and credentials; what it refuses the client gets as it is', async () => {
    const world = await start({ http: [http()] });
    const headers = ['authorization: me', 'x-a: 1', 'cookie: c=1', 'x-envoy-auth-partial-body: forged'];
    expect(await world.ask({ method: 'POST', path: '/p?q=1', headers, body: 'hello' })).toMatchObject({ status: 200, body: 'ok' });
    const {
      http: [asked],
      app: [passed],
    } = world.heard();
    expect(asked).toMatchObject({ line: 'POST /p?q=1', body: '', headers: { host: 'app.test', authorization: 'me', 'content-length': '0' } });
    expect(asked?.headers).toMatchObject({ 'x-envoy-internal': 'true', 'x-envoy-expected-rq-timeout-ms': '20000', traceparent: expect.any(String) });
    expect(Object.keys(asked?.headers ?? {})).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(x-a|cookie|x-envoy-auth-partial-body)$/)]));
    expect(passed).toMatchObject({ body: 'hello', headers: { 'x-a': '1', cookie: 'c=1' } });

    world.reply.http = {
      status: 401,
      headers: [
        ['www-authenticate', 'Basic'],
        ['x-deny', 'd'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ],
      body: 'go away',
    };
    const refused = await world.ask({});
    expect(refused).toMatchObject({ status: 401, body: 'go away' });
    expect(refused.headers).toEqual(
      expect.arrayContaining(['content-type: text/plain', 'set-cookie: a=1', 'set-cookie: b=2', 'www-authenticate: basic', 'x-deny: d']),
    );
    expect(refused.headers.filter((line) => line.startsWith('date: '))).toHaveLength(1);
    world.reply.http = {
      status: 302,
      headers: [
        ['location', '/login'],
        ['content-type', 'application/json'],
      ],
    };
    const redirected = await world.ask({});
    expect(redirected.headers).toEqual(expect.arrayContaining(['location: /login', 'content-length: 0']));
    expect(redirected.headers.join()).not.toContain('content-type');
    world.reply.http = {
      status: 403,
      headers: [
        ['content-type', 'application/json'],
        ['x-deny', 'd'],
      ],
      body: '{}',
    };
    expect((await world.ask({})).headers).toEqual(expect.arrayContaining(['content-type: application/json']));
    const toGrpc = await world.ask({ headers: ['content-type: application/grpc'] });
    expect(toGrpc.headers).toEqual(expect.arrayContaining(['content-type: application/grpc', 'grpc-status: 7', 'grpc-message: {}', 'x-deny: d']));
    world.reply.http = { status: 204 };
    expect((await world.ask({})).status).toBe(204);
    world.reply.http = { status: 500, body: 'broken' };
    expect(await world.ask({})).toMatchObject({ status: 403, body: '' });
    expect(world.heard().app).toEqual([]);
    await logged([
      ...['200 - via_upstream 5', '401 UAEX ext_authz_denied 0', '302 UAEX ext_authz_denied 0', '403 UAEX ext_authz_denied 0'],
      ...['200 UAEX ext_authz_denied 0', '204 UAEX ext_authz_denied 0', '403 UAEX ext_authz_error 0'],
    ]);
  });

  test('what the service may see, what is added for it, and which of its headers go on', async () => {
    const world = await start({
      http: [
        http(
          { allowed_headers: names('x-a', 'x-c'), with_request_body: { max_request_bytes: 4, allow_partial_message: true } },
          {
            path_prefix: '/check',
            authorization_request: {
              headers_to_add: [
                { key: 'x-added', value: '%REQ(x-secret)%' },
                { key: 'x-c', value: 'over' },
              ],
            },
            authorization_response: {
              allowed_upstream_headers: names('x-up', 'x-a'),
              allowed_upstream_headers_to_append: names('x-b'),
              allowed_client_headers_on_success: names('x-both', 'set-cookie'),
              allowed_client_headers: names('x-deny'),
            },
          },
        ),
      ],
    });
    world.reply.http = {
      headers: [
        ['x-up', '1'],
        ['x-up', '2'],
        ['x-a', 'new'],
        ['x-b', 'new'],
        ['x-both', 'theirs'],
        ['set-cookie', 'z=1'],
        ['x-envoy-auth-headers-to-remove', 'cookie, X-C'],
      ],
      body: 'not for anybody',
    };
    const headers = ['x-a: 1', 'x-a: 2', 'x-b: old', 'x-c: c', 'cookie: c=1', 'x-secret: s'];
    const answer = await world.ask({ method: 'PUT', path: '/p', headers, body: 'abcdef' });
    expect(answer.headers.filter((line) => /^(x-both|set-cookie|x-up|x-app)/.test(line))).toEqual([
      'set-cookie: z=1',
      'x-app: app',
      'x-both: app',
      'x-both: theirs',
    ]);
    const {
      http: [asked],
      app: [passed],
    } = world.heard();
    expect(asked).toMatchObject({
      line: 'PUT /check/p',
      body: 'abcd',
      headers: { 'x-a': '1,2', 'x-c': 'over', 'x-added': 's', 'x-envoy-auth-partial-body': 'true' },
    });
    expect(asked?.headers['x-b']).toBeUndefined();
    expect(passed).toMatchObject({ line: 'PUT /p', body: 'abcdef', headers: { 'x-up': '2', 'x-a': 'new', 'x-b': 'old|new', 'content-length': '6' } });
    expect([passed?.headers['x-c'], passed?.headers['cookie']]).toEqual([undefined, undefined]);
    await world.ask({ method: 'PUT', body: 'abcd' });
    expect(world.heard().http).toMatchObject([{ body: 'abcd', headers: { 'x-envoy-auth-partial-body': 'false' } }]);
    await world.ask({});
    expect(world.heard().http[0]?.headers['x-envoy-auth-partial-body']).toBeUndefined();
    world.reply.http = {
      status: 403,
      headers: [
        ['x-deny', 'd'],
        ['x-other', 'o'],
        ['www-authenticate', 'b'],
        ['location', '/l'],
        ['content-type', 'a/b'],
      ],
      body: 'no',
    };
    const refused = (await world.ask({})).headers.filter((line) => !/^(date|server|connection|content-length)/.test(line));
    expect(refused).toEqual(['content-type: text/plain', 'location: /l', 'www-authenticate: b', 'x-deny: d']);
  });

  test('a body that is longer than may be asked about is refused, where no part of it will do', async () => {
    const world = await start({ http: [http({ with_request_body: { max_request_bytes: 4, pack_as_bytes: true } })] });
    expect(await world.ask({ method: 'POST', body: 'abcdef' })).toMatchObject({ status: 413, body: 'Payload Too Large' });
    expect(await world.ask({ method: 'POST', body: 'abcd' })).toMatchObject({ status: 200 });
    expect(world.heard()).toMatchObject({ http: [{ body: 'abcd' }], app: [{ body: 'abcd' }] });
    await logged(['413 - request_payload_too_large 6', '200 - via_upstream 4']);
  });

  test('a service over gRPC is told of request and connection', async () => {
    const world = await start({ http: [grpc({ with_request_body: { max_request_bytes: 8, allow_partial_message: true } })] });
    const headers = [
      'x-a: 1',
      'x-a: 2',
      'x-forwarded-for: 192.0.2.1',
      'x-envoy-retry-on: 5xx',
      'x-envoy-auth-partial-body: forged',
      'x-bytes: \xff',
      'x-text: \xc3\xa9',
    ];
    await world.ask({ method: 'POST', path: '/p?q=1', headers, body: 'body' });
    const { attributes } = world.heard().grpc[0] as unknown as Checked;
    const { headers: told, id, ...request } = attributes.request.http;
    expect({ ...request, id: typeof id }).toEqual({
      ...{ method: 'POST', path: '/p?q=1', host: 'app.test', scheme: 'http', protocol: 'HTTP/1.1', size: '4', body: 'body', id: 'string' },
    });
    const { 'x-request-id': requestId, 'x-envoy-decorator-operation': _, ...rest } = told;
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(rest).toEqual({
      ...{ ':authority': 'app.test', ':method': 'POST', ':path': '/p?q=1', ':scheme': 'http', 'x-a': '1,2', 'x-bytes': '!', 'x-text': 'é' },
      ...{ 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'http', 'content-length': '4', 'x-envoy-auth-partial-body': 'false' },
    });
    const address = { socketAddress: { address: '127.0.0.1', portValue: expect.any(Number) as number } };
    expect([attributes.source, attributes.destination]).toEqual([{ address }, { address }]);
  });

  test('which headers a gRPC service may see, as they came; bytes of a body', async () => {
    const world = await start({
      http: [
        grpc({
          ...{ allowed_headers: { patterns: [{ prefix: 'x-' }, { exact: ':path' }] }, disallowed_headers: names('x-no', 'x-request-id') },
          ...{ encode_raw_headers: true, include_tls_session: true, with_request_body: { max_request_bytes: 8, pack_as_bytes: true } },
        }),
      ],
    });
    await world.ask({ method: 'POST', headers: ['x-a: 1', 'x-a: \xff', 'x-no: n', 'other: o'], body: '\xff\x00' });
    const { attributes } = world.heard().grpc[0] as unknown as Checked;
    expect(attributes).toMatchObject({ tlsSession: {}, request: { http: { rawBody: '/wA=' } } });
    const raw = (attributes.request.http as unknown as { headerMap: { headers: { key: string; rawValue: string }[] } }).headerMap.headers;
    expect(raw.filter(({ key }) => !/^x-(envoy|forwarded)/.test(key))).toEqual([
      { key: ':path', rawValue: 'Lw==' },
      { key: 'x-a', rawValue: 'MQ==' },
      { key: 'x-a', rawValue: '/w==' },
    ]);
  });

  test('what a gRPC service has changed of request and response', async () => {
    const world = await start({ http: [grpc()] });
    world.reply.grpc = ok({
      headers: [
        ...[option('x-a', 'A'), option('x-b', 'B', 0, true), option('x-new', 'N', 0, true), option('x-absent', 'a', 1), option('X-Up', 'u', 0, false)],
        ...[option('x-none', 'o', 3), option('x-host', 'h')],
      ],
      headersToRemove: ['Cookie', 'host', ':path'],
      responseHeadersToAdd: [
        ...[option('x-both', 'set', 2), option('x-app', 'more'), option('x-response', 'r', 1), option('x-app2', 'r', 3), option('x-old', 'r', 0, true)],
        option('x-over', 'r', 0, false),
      ],
      queryParametersToSet: [
        { key: 'q', value: '2' },
        { key: 'n', value: '%20' },
      ],
      queryParametersToRemove: ['z'],
    });
    const answer = await world.ask({ path: '/p?q=1&z=1&y=%41&b', headers: ['x-a: 1', 'x-a: 2', 'x-b: b', 'cookie: c'] });
    expect(answer.headers.filter((line) => line.startsWith('x-') && !line.startsWith('x-envoy'))).toEqual([
      ...['x-app: app', 'x-app: more', 'x-both: set', 'x-old: r', 'x-over: r', 'x-response: r'],
    ]);
    const [passed] = world.heard().app;
    expect(passed?.line).toBe('GET /p?b=&n=%20&q=2&y=%41');
    expect(passed?.headers).toMatchObject({ 'x-a': 'A', 'x-b': 'b,B', 'x-absent': 'a', 'x-up': 'u', 'x-none': 'o', 'x-host': 'h' });
    expect([passed?.headers['x-new'], passed?.headers['cookie']]).toEqual([undefined, undefined]);
    world.reply.grpc = ok({ headers: [option(':path', '/other'), option(':authority', 'other.test')] });
    await world.ask({ path: '/p' });
    expect(world.heard().app).toMatchObject([{ line: 'GET /other', headers: { 'x-envoy-original-host': 'other.test' } }]);
    world.reply.grpc = ok({ headers: [option('x-bad', 'a\r\nx-more: b')] });
    expect(await world.ask({})).toMatchObject({ status: 503, body: 'invalid header value for: x-bad' });
    expect(world.heard().app).toEqual([]);
  });

  test('what a gRPC service refuses: 403, or as it says', async () => {
    const world = await start({ http: [grpc()] });
    world.reply.grpc = { status: { code: 7 } };
    expect(await world.ask({})).toMatchObject({ status: 403, body: '' });
    const headers = [option('x-d', '1'), option('x-d', '2'), option('content-type', 'application/json'), option('x-joined', '2', 0, true)];
    world.reply.grpc = { status: { code: 16 }, httpResponse: { case: 'deniedResponse', value: { status: { code: 429 }, headers, body: '{"é":1}' } } };
    const refused = await world.ask({});
    expect(refused).toMatchObject({ status: 429, body: Buffer.from('{"é":1}').toString('latin1') });
    expect(refused.headers.filter((line) => /^(x-|content-type)/.test(line))).toEqual(['content-type: application/json', 'x-d: 1', 'x-d: 2']);
    expect((await world.ask({ headers: ['content-type: application/grpc'] })).headers).toEqual(expect.arrayContaining(['grpc-status: 14', 'x-d: 1']));
    await logged(['403 UAEX ext_authz_denied 0', '429 UAEX ext_authz_denied 0', '200 UAEX ext_authz_denied 0']);
  });

  test('who does not answer: refused with a status of choice, or let through and told so', async () => {
    const closed = await start({ http: [http({ status_on_error: { code: 503 }, http_service: IMPATIENT.http_service })] });
    closed.reply.http = 'never';
    expect(await closed.ask({})).toMatchObject({ status: 503, body: '' });
    const open = await start({ http: [grpc({ failure_mode_allow: true, failure_mode_allow_header_add: true, grpc_service: IMPATIENT.grpc_service })] });
    open.reply.grpc = 'never';
    expect((await open.ask({})).status).toBe(200);
    expect(open.heard().app).toMatchObject([{ headers: { 'x-envoy-auth-failure-mode-allowed': 'true' } }]);
    await logged(['503 UAEX ext_authz_error 0'], closed);
  });

  test('only what shadow rules have found is asked about; what is not can be refused', async () => {
    const admin = { permissions: [{ url_path: { path: { prefix: '/admin' } } }], principals: [{ any: true }] };
    const world = await start({
      http: [
        shadow({ 'istio-ext-authz-ns[a]': admin, other: { ...admin, permissions: [{ any: true }] } }),
        grpc({ filter_enabled_metadata: byShadow('http') }),
      ],
    });
    world.reply.grpc = { status: { code: 7 } };
    expect([(await world.ask({ path: '/admin' })).status, (await world.ask({})).status]).toEqual([403, 200]);
    expect(world.heard().grpc).toHaveLength(1);
    const never = { filter_enabled: { default_value: { numerator: 0 } }, deny_at_disable: { default_value: true, runtime_key: 'x' } };
    const shut = await start({ http: [http({ ...never, status_on_error: { code: 401 } })] });
    expect((await shut.ask({})).status).toBe(401);
    expect(shut.heard().http).toEqual([]);
    await logged(['401 UAEX ext_authz_error 0']);
  });

  test('routes may be left out, and say more to the service; it may choose among them', async () => {
    const per = (config: object): JsonObject => ({
      'envoy.filters.http.ext_authz': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute', ...config },
    });
    const world = await start({
      http: [grpc({ clear_route_cache: true, with_request_body: { max_request_bytes: 4 } })],
      routes: (table) => {
        const hosts = (table as unknown as { virtualHosts: { routes: JsonObject[]; typedPerFilterConfig: JsonObject }[] }).virtualHosts;
        for (const host of hosts) {
          host.typedPerFilterConfig = per({ checkSettings: { contextExtensions: { a: 'host', b: 'host' } } });
          host.routes.unshift(
            { match: { prefix: '/free' }, directResponse: { status: 418 }, typedPerFilterConfig: per({ disabled: true }) },
            {
              match: { prefix: '/more' },
              directResponse: { status: 419 },
              typedPerFilterConfig: per({ checkSettings: { contextExtensions: { b: 'route' }, disableRequestBodyBuffering: true } }),
            },
            { match: { prefix: '/', headers: [{ name: 'x-route', stringMatch: { exact: 'chosen' } }] }, directResponse: { status: 420 } },
          );
        }
      },
    });
    expect((await world.ask({ path: '/free' })).status).toBe(418);
    expect(world.heard().grpc).toEqual([]);
    expect((await world.ask({ path: '/more', method: 'POST', body: 'too long' })).status).toBe(419);
    expect(world.heard().grpc).toMatchObject([{ attributes: { contextExtensions: { a: 'host', b: 'route' } } }]);
    world.reply.grpc = ok({ headers: [option('x-route', 'chosen')] });
    expect((await world.ask({})).status).toBe(420);
    expect(world.heard().grpc).toMatchObject([{ attributes: { contextExtensions: { a: 'host', b: 'host' } } }]);
  });

  test('connections: who may go on, who is closed, and who is not asked about', async () => {
    const world = await start({ network: [grpc()] });
    expect(await world.say('hello')).toBe('hello');
    const { grpc: checks } = world.heard();
    const address = { socketAddress: { address: '127.0.0.1', portValue: expect.any(Number) as number } };
    expect(checks).toEqual([{ attributes: { source: { address }, destination: { address }, metadataContext: {} } }]);
    world.reply.grpc = { status: { code: 7 } };
    expect(await world.say('hello')).toBe('');
    expect(world.heard().tcp).toBe('');
    await logged(['0 - - 5', '0 UAEX ext_authz_denied 5']);
    const late = await start({ network: [grpc({ grpc_service: IMPATIENT.grpc_service })] });
    late.reply.grpc = 'never';
    expect([await late.say('hello'), late.heard().tcp]).toEqual(['', '']);
    await logged(['0 UAEX ext_authz_error 5']);
  });

  test('connections: asked about by shadow rules, let through where nobody answers, and refused by others all the same', async () => {
    const any = { permissions: [{ any: true }], principals: [{ any: true }] };
    const asked = grpc({ failure_mode_allow: true, filter_enabled_metadata: byShadow('network'), grpc_service: IMPATIENT.grpc_service });
    const world = await start({ network: [shadow({ 'istio-ext-authz-ns[a]': any }), asked] });
    world.reply.grpc = 'never';
    expect(await world.say('hello')).toBe('hello');
    expect(world.heard().grpc).toHaveLength(1);
    const free = await start({ network: [shadow({ other: any }), asked] });
    expect([await free.say('hello'), free.heard().grpc]).toEqual(['hello', []]);
    const deny = { kind: 'rbac' as const, config: { rules: { action: 'DENY', policies: { no: any } } } };
    const refused = await start({ network: [shadow({ 'istio-ext-authz-ns[a]': any }), asked, deny] });
    expect([await refused.say('hello'), refused.heard().grpc.length]).toEqual(['', 1]);
    await logged(['0 - - 5']);
  });
});
