// Bytes of both connections in access logs, framing and all, on both data planes: what clients and applications have seen.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, type Server, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PATIENT, PLANES, object, runPlane } from './planes.ts';

const COMMANDS = ['DOWNSTREAM', 'UPSTREAM'].flatMap((side) =>
  ['RECEIVED', 'SENT'].flatMap((way) => [`${side}_WIRE_BYTES_${way}`, `${side}_HEADER_BYTES_${way}`]),
);
const format = JSON.stringify({ bytes: COMMANDS.map((command) => `%${command}%`) });

/** Header bytes as Envoy counts them: of what is read its parser leaves out one a line. */
const lineBytes = (head: string, read: boolean): number => {
  const [, ...lines] = (head.split('\r\n\r\n')[0] ?? '').split('\r\n');
  return lines.reduce((sum, line) => sum + line.length + (read ? 1 : 2), 0);
};

describe.each(PLANES)('%s', (plane) => {
  test('of HTTP/1.1 by length and in chunks, of tries, of HTTP/2 with trailers, of TCP, and of answers of its own', async () => {
    const seen: string[] = [];
    const said: string[] = [];
    const answers = [
      'HTTP/1.1 200 OK\r\nx-r: v\r\ncontent-length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nx-r: chunks\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      'HTTP/1.1 503 Unavailable\r\ncontent-length: 4\r\n\r\nlate',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      'raw answer',
    ];
    const app = createServer((socket) => {
      let whole = '';
      socket.on('error', () => socket.destroy());
      socket.on('data', (bytes) => {
        whole += bytes.toString('latin1');
        if (!/^GET [^]*\r\n\r\n$|hello$|0\r\n\r\n$|raw$/.test(whole)) return;
        seen.push(whole);
        socket.write(answers[seen.length - 1] ?? '');
        whole = '';
      });
    });
    const app2 = createHttp2((asked, response) =>
      asked.resume().on('end', () => {
        response.write('ok');
        response.addTrailers({ 'x-end': 'of it' });
        response.end();
      }),
    );
    const listen = (server: Pick<Server, 'listen' | 'address'>): Promise<number> =>
      new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
    const ports = { app: await listen(app), app2: await listen(app2), raw: 0 };
    ports.raw = ports.app;
    const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
    onTestFinished(() => {
      app.close();
      app2.close();
      rmSync(dir, { recursive: true });
    });
    const protocols = { app: 'HTTP', app2: 'HTTP2', raw: 'TCP' } as const;
    const names = ['app', 'app2', 'raw'] as const;
    const objects = [
      ...names.map((name) =>
        object('ServiceEntry', name, {
          ...{ hosts: [`${name}.test`], resolution: 'STATIC', ports: [{ number: 80, name: 'p', protocol: protocols[name] }] },
          endpoints: [{ address: '127.0.0.1', ports: { p: ports[name] } }],
        }),
      ),
      object('VirtualService', 'app', {
        hosts: ['app.test'],
        http: [
          { match: [{ uri: { prefix: '/own' } }], directResponse: { status: 410, body: { string: 'gone' } } },
          { retries: { attempts: 1, retryOn: '5xx' }, route: [{ destination: { host: 'app.test' } }] },
        ],
      }),
    ];
    const settings = { accessLogFile: join(dir, 'log'), accessLogEncoding: 'JSON' as const, accessLogFormat: format };
    const upstreams = names.map((name, i) => ({ host: `${name}.test`, port: 80, listenPort: i + 1 }));
    const { port, stop } = await runPlane(plane, objects, { node: { upstreams }, settings });
    const lines = (): string[] => readFileSync(settings.accessLogFile, 'utf8').trim().split('\n');
    const ask = async (name: (typeof names)[number], request: string): Promise<void> => {
      await new Promise<void>((resolve, reject) => {
        let answer = '';
        const socket = connect(port(`${name}.test_80`), '127.0.0.1', () => socket.write(request));
        socket.on('error', reject).on('data', (bytes) => {
          answer += bytes.toString('latin1');
          if (name === 'raw') socket.end();
        });
        socket.on('close', () => {
          said.push(answer);
          resolve();
        });
      });
      await expect.poll(() => lines().length, PATIENT).toBe(said.length);
    };
    const head = 'host: app.test\r\nconnection: close\r\n';
    const requests = [
      `POST /a HTTP/1.1\r\n${head}content-length: 5\r\n\r\nhello`,
      `POST /a HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      `GET /a HTTP/1.1\r\n${head}\r\n`,
      'raw',
      `GET /own HTTP/1.1\r\n${head}\r\n`,
    ];
    for (const request of requests) await ask(request === 'raw' ? 'raw' : 'app', request);
    await new Promise<void>((resolve, reject) => {
      const session = connectHttp2(`http://127.0.0.1:${port('app2.test_80')}`);
      const asked = session.request({ ':method': 'POST', ':path': '/', ':authority': 'app2.test' });
      session.on('error', reject).on('close', resolve);
      asked
        .on('error', reject)
        .on('close', () => session.close())
        .resume()
        .end('hello');
    });
    await stop();
    const logged = lines().map((line) => (JSON.parse(line) as { bytes: number[] }).bytes);

    const of = (read: string, written: string): number[] =>
      [read, written].flatMap((text, i) => [text.length, text.startsWith('raw') ? 0 : lineBytes(text, i === 0)]);
    // Tries are added up.
    const tries = [[0], [1], [2, 3], [4]];
    const upstream = (numbers: readonly number[]): number[] =>
      numbers.map((n) => of(answers[n] ?? '', seen[n] ?? '')).reduce((sum, one) => sum.map((bytes, i) => bytes + (one[i] ?? 0)));
    expect(logged.slice(0, 4)).toEqual(tries.map((numbers, i) => [...of(requests[i] ?? '', said[i] ?? ''), ...upstream(numbers)]));
    expect(logged[4]).toEqual([...of(requests[4] ?? '', said[4] ?? ''), 0, 0, 0, 0]);
    // Of HTTP/2 as much is no head, nor trailers, as there are bytes of a body and heads of its frames.
    const [received = 0, receivedHead = 0, sent = 0, sentHead = 0, back = 0, backHead = 0, up = 0, upHead = 0] = logged[5] ?? [];
    expect([received - receivedHead, sent - sentHead, back - backHead, up - upHead]).toEqual([14, 11, 11, 14]);
    expect([receivedHead, sentHead, backHead, upHead].every((bytes) => bytes > 9)).toBe(true);
  });
});
