import { mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeLogFormat } from '../config/decode-log-format.ts';
import { Fields } from '../config/fields.ts';
import type { AccessLog, LogFormat } from '../config/log-model.ts';
import type { TcpRecord } from '../http/hooks.ts';
import { chain, cluster, exchangeRaw, listener, manager, startRaw, startRig } from '../listener/testing/rig.ts';
import { openAccessLogs } from './access-log.ts';

/** What one request writes under these logs. */
async function logged(request: string, formats: readonly (LogFormat | undefined)[]): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), 'weft-log-'));
  const paths = formats.map((_, i) => join(dir, `${i}.log`));
  const accessLog = formats.map((format, i): AccessLog => ({ kind: 'file', path: paths[i] ?? '', ...(format === undefined ? {} : { format }) }));
  const logs = openAccessLogs(() => undefined);
  const upstream = await startRaw((_, socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-shelf: 7\r\n\r\nok'));
  const elsewhere = chain({ name: 'elsewhere', match: { ...chain().match, destinationPort: 1 } });
  const rig = await startRig({
    listener: listener({ chains: [elsewhere, chain({ http: manager({ accessLog }) })] }),
    clusters: [cluster([upstream.port])],
    deps: { onRequestEnd: (record, source) => logs.onRequest(record.manager.accessLog, source) },
  });
  await exchangeRaw(rig.port, request);
  await rig.close();
  await upstream.close();
  await logs.close();
  const lines = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  await rm(dir, { recursive: true });
  return lines.map((line) => line.replaceAll(String(rig.port), 'LISTENER').replaceAll(String(upstream.port), 'UPSTREAM'));
}

test('Istio’s text, and JSON of the same, have every operator in place; nothing a client sends forges a line', async () => {
  const request =
    'POST /p?q="x" HTTP/1.1\r\nhost: shelf\r\nuser-agent: a"b [2026] "GET /forged\r\nx-empty:\r\nx-request-id: r\r\nx-forwarded-for: 10.0.0.1\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc';
  const json: LogFormat = {
    kind: 'json',
    omitEmpty: false,
    template: {
      response_code: '%RESPONSE_CODE%',
      bytes: { sent: '%BYTES_SENT%', received: '%BYTES_RECEIVED%' },
      requested_server_name: '%REQUESTED_SERVER_NAME%',
      path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
      line: '%REQ(:METHOD)% %REQ(X-NONE)% <%REQ(X-EMPTY)%>',
      empty: '%REQ(X-EMPTY)%',
      chain: '%FILTER_CHAIN_NAME%',
      shelf: '%RESP(X-SHELF)%',
      version: 1,
    },
  };
  const [text = '', object = ''] = await logged(request, [undefined, json]);
  expect(text).toMatch(
    /^\[20\d\d-.*Z\] "POST \/p\?q=\\x22x\\x22 HTTP\/1\.1" 200 - via_upstream - "-" 3 2 \d+ \d+ "10\.0\.0\.1" "a\\x22b \[2026\] \\x22GET \/forged" "r" "shelf" "127\.0\.0\.1:UPSTREAM" app 127\.0\.0\.1:\d+ 127\.0\.0\.1:LISTENER 10\.0\.0\.1:0 - \S+\n$/,
  );
  // Keys sorted, as Envoy writes them.
  expect(object).toBe(
    '{"bytes":{"received":3,"sent":2},"chain":"plain","empty":"","line":"POST - <>","path":"/p?q=\\"x\\"","requested_server_name":null,"response_code":200,"shelf":"7","version":1}\n',
  );
});

test('a CONNECT that leads nowhere is told with its host and its fields', async () => {
  const [text] = await logged('CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\nuser-agent: agent\r\n\r\n', [undefined]);
  expect(text).toMatch(/"CONNECT - HTTP\/1\.1" 404 NR route_not_found - "-" 0 0 \d+ - "-" "agent" "[0-9a-f-]{36}" "a\.test:443" "-" - - /);
});

/** Of a connection that is over. */
function tcpRecord(path: string) {
  return {
    proxy: { accessLog: [{ kind: 'file', path }] },
    startedAt: -performance.timeOrigin,
    durationMs: 12,
    receivedBytes: 5,
    sentBytes: 9,
    responseFlags: 'UF,URX',
    details: '',
    transportFailure: 'delayed_connect_error:_Connection_refused',
    cluster: undefined,
    downstreamAddress: '127.0.0.1:5',
    directAddress: '127.0.0.1:5',
    localAddress: '127.0.0.1:6',
    upstreamAddress: '127.0.0.1:7',
    upstreamLocalAddress: '',
    serverName: 'db.test',
  };
}

test('a connection that is over is a line with the same places', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weft-log-'));
  const logs = openAccessLogs(() => undefined);
  const record = tcpRecord(join(dir, 'tcp'));
  logs.onTcp(record as unknown as TcpRecord);
  logs.onTcp({ ...record, responseFlags: 'UAEX', details: 'ext_authz_denied', transportFailure: '' } as unknown as TcpRecord);
  await logs.close();
  expect(await readFile(join(dir, 'tcp'), 'utf8')).toBe(
    '[1970-01-01T00:00:00.000Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 5 9 12 - "-" "-" "-" "-" "127.0.0.1:7" - - 127.0.0.1:6 127.0.0.1:5 db.test -\n' +
      '[1970-01-01T00:00:00.000Z] "- - -" 0 UAEX ext_authz_denied - "-" 5 9 12 - "-" "-" "-" "-" "127.0.0.1:7" - - 127.0.0.1:6 127.0.0.1:5 db.test -\n',
  );
  await rm(dir, { recursive: true });
});

test('a format with an operator this proxy does not know is a problem at its place', () => {
  const problems: string[] = [];
  const decode = (json: ConstructorParameters<typeof Fields>[0]): LogFormat | undefined => decodeLogFormat(new Fields(json, 'logFormat', problems));
  expect(decode({ textFormatSource: { inlineString: '%RESPONSE_CODE%\n' }, omitEmptyValues: true })).toEqual({
    kind: 'text',
    template: '%RESPONSE_CODE%\n',
    omitEmpty: true,
  });
  expect(problems).toEqual([]);
  expect(decode({ jsonFormat: { a: { b: '%NO_SUCH%' } } })).toBeUndefined();
  expect(decode({ textFormatSource: { filename: '/etc/format' } })).toBeDefined();
  expect(problems).toEqual([
    'logFormat.jsonFormat: the command operator %NO_SUCH% is not supported',
    'logFormat.textFormatSource.filename: this proxy cannot do it',
  ]);
});

test('a disk that was full loses the lines of that time, counted and told once, and no others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weft-log-'));
  const path = join(dir, 'log');
  const told: string[] = [];
  const logs = openAccessLogs((message) => told.push(message));
  const record = tcpRecord(path) as unknown as TcpRecord;
  await symlink('/dev/full', path);
  for (const lost of [1, 2]) {
    logs.onTcp(record);
    await expect.poll(() => logs.dropped()).toBe(lost);
  }
  expect(told).toEqual([expect.stringContaining(`cannot write the access log ${path}: ENOSPC`)]);
  await rm(path);
  logs.onTcp(record);
  await logs.close();
  expect((await readFile(path, 'utf8')).match(/db\.test/g)?.length).toBe(1);
  expect(logs.dropped()).toBe(2);
  await rm(dir, { recursive: true });
});

test('files that are opened anew take what comes from then on', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'weft-log-'));
  const logs = openAccessLogs(() => undefined);
  const record = tcpRecord(join(dir, 'log'));
  logs.onTcp({ ...record, serverName: 'before.test' } as unknown as TcpRecord);
  await expect.poll(() => readFile(join(dir, 'log'), 'utf8').catch(() => '')).toContain('before.test');
  await rename(join(dir, 'log'), join(dir, 'log.1'));
  logs.reopen();
  logs.onTcp({ ...record, serverName: 'after.test' } as unknown as TcpRecord);
  await logs.close();
  expect(await readFile(join(dir, 'log'), 'utf8')).toContain('after.test');
  expect(await readFile(join(dir, 'log.1'), 'utf8')).not.toContain('after.test');
  await rm(dir, { recursive: true });
});
