// What an inbound listener makes of grpc-timeout, on both data planes: of a call it is told on in milliseconds, or the smallest unit that holds it.

import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { PLANES, startPlane } from './planes.ts';

const authority = await testAuthority();
const { chainPem, keyPem } = await authority.issue('web.test');
const secrets = [
  { name: 'default', tlsCertificate: { certificateChain: { inlineString: chainPem }, privateKey: { inlineString: keyPem } } },
  { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: authority.caPem } } },
];

const TOLD: readonly (readonly [asked: string, told: string])[] = [
  ['20S', '20000m'],
  ['20000001u', '20001m'],
  ['2000M', '120000S'],
  ['99999999S', '99999999S'],
  ['99999999H', '99999999H'],
  ['20s', '20s'],
  ['x', 'x'],
];

test.each(PLANES)('%s', async (plane) => {
  const app = createServer((socket) =>
    socket.once('data', (bytes) => {
      const body = /^grpc-timeout: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1] ?? 'none';
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    }),
  );
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void app.close());
  const { port: appPort } = app.address() as AddressInfo;
  const port = await startPlane(plane, [], { secrets, node: { inbound: [{ name: 'http', servicePort: 1, listenPort: 1, appPort }] } });
  const ask = (type: string, timeout: string): Promise<string> =>
    new Promise((resolve, reject) => {
      let answer = '';
      const lines = ['POST / HTTP/1.1', 'host: a', `content-type: ${type}`, `grpc-timeout: ${timeout}`, 'content-length: 0', 'connection: close', '', ''];
      const socket = connect(port('virtualInbound_1'), '127.0.0.1', () => socket.write(lines.join('\r\n')));
      socket.on('error', reject).on('data', (bytes) => (answer += bytes.toString()));
      socket.on('close', () => resolve(answer.split('\r\n\r\n')[1] ?? ''));
    });
  const told = await Promise.all(TOLD.map(async ([asked]) => [asked, await ask('application/grpc', asked)]));
  expect(told).toEqual(TOLD);
  expect(await ask('text/plain', '20S')).toBe('20S');
});
