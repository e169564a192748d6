// Commands of a mesh's access log format, on both data planes.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PLANES, object, runPlane } from './planes.ts';

const COMMANDS = [
  'START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)',
  'START_TIME(%F|%T|%a|%b|%e|%y|%z|%s)',
  'START_TIME',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'DURATION',
  'RESPONSE_FLAGS_LONG',
  'GRPC_STATUS',
  'GRPC_STATUS(SNAKE_STRING)',
  'GRPC_STATUS_NUMBER',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_LOCAL_PORT',
  'ENVIRONMENT(WEFT_TEST_LOG)',
  'ENVIRONMENT(WEFT_TEST_NONE)',
  'ACCESS_LOG_TYPE',
];
const waitMs = 60;

/** Until the proxy closes. */
const ask = (port: number, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket
      .on('error', reject)
      .on('close', () => resolve())
      .resume();
  });

test.each(PLANES)('%s', async (plane) => {
  process.env['WEFT_TEST_LOG'] = 'here';
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 2\r\n\r\no';
  const app = createServer((socket) =>
    socket.on('data', (bytes) => {
      if (!bytes.toString().endsWith('lo')) return;
      setTimeout(() => socket.write(head), waitMs);
      setTimeout(() => socket.write('k'), 2 * waitMs);
    }),
  );
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => {
    app.close();
    rmSync(dir, { recursive: true });
  });
  const endpoints = [{ address: '127.0.0.1', ports: { http: (app.address() as AddressInfo).port } }];
  const objects = [
    object('ServiceEntry', 'app', { hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], endpoints }),
  ];
  const settings = { accessLogFile: join(dir, 'log'), accessLogFormat: `${COMMANDS.map((command) => `%${command}%`).join('\t')}\n` };
  const { port, stop } = await runPlane(plane, objects, { node: { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] }, settings });
  const request = 'POST / HTTP/1.1\r\nhost: app.test\r\ncontent-type: application/grpc\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello';
  await ask(port('app.test_80'), request);
  await ask(port('app.test_80'), 'GET / HTTP/1.1\r\nhost\r\n\r\n');
  await stop();
  const [told = [], refused = []] = readFileSync(settings.accessLogFile, 'utf8')
    .split('\n')
    .map((line) => line.split('\t'));
  const value = (command: string): string => told[COMMANDS.indexOf(command)] ?? '';
  const started = new Date(value('START_TIME'));
  expect(told.slice(0, 2)).toEqual([
    value('START_TIME'),
    `${started.toISOString().slice(0, 10)}|${started.toISOString().slice(11, 19)}|${started.toUTCString().slice(0, 3)}|${started.toUTCString().slice(8, 11)}|${String(started.getUTCDate()).padStart(2, ' ')}|${started.getUTCFullYear() % 100}|+0000|${Math.floor(started.getTime() / 1000)}`,
  ]);
  const times = ['REQUEST_DURATION', 'RESPONSE_DURATION', 'RESPONSE_TX_DURATION', 'DURATION'].map((command) => Number(value(command)));
  const [requestMs = 0, responseMs = 0, sentMs = 0, durationMs = 0] = times;
  expect(requestMs).toBeLessThan(waitMs);
  expect(responseMs).toBeGreaterThanOrEqual(waitMs - 5);
  expect(sentMs).toBeGreaterThanOrEqual(waitMs / 2);
  expect(Math.abs(responseMs + sentMs - durationMs)).toBeLessThanOrEqual(2);
  expect(told.slice(7).map((text, i) => (COMMANDS[i + 7] === 'UPSTREAM_LOCAL_PORT' ? Number(text) > 0 : text))).toEqual([
    ...['-', 'NotFound', 'NOT_FOUND', '5', '127.0.0.1', true, 'here', '-', 'DownstreamEnd'],
  ]);
  expect(refused.slice(3)).toEqual(['-', '-', '-', '0', 'DownstreamProtocolError', ...['-', '-', '-', '-', '-'], 'here', '-', 'DownstreamEnd']);
});
