// max_connection_duration of a connection manager, of clients that say nothing in that time, on both data planes.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { PLANES, object, onManager, startPlane } from './planes.ts';

const duration = (text: string): object => onManager({ common_http_protocol_options: { max_connection_duration: text } });

test.each(PLANES)('%s: a connection whose time is up is closed, though nothing was asked', async (plane) => {
  const app = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  await once(app, 'listening');
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  const endpoints = [{ address: '127.0.0.1', ports: { p: (app.address() as AddressInfo).port } }];
  const spec = { hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'p', protocol: 'HTTP' }], endpoints };
  const answered = async (text: string, request: string): Promise<string> => {
    const filter = object('networking.istio.io/v1alpha3 EnvoyFilter', 'duration', { configPatches: [duration(text)] });
    const port = await startPlane(plane, [object('ServiceEntry', 'app', spec), filter], {
      node: { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] },
    });
    const socket = connect(port('app.test_80'), '127.0.0.1');
    let answer = '';
    socket.on('error', () => undefined).on('data', (bytes) => (answer += bytes.toString('latin1')));
    socket.write(request);
    await once(socket, 'close');
    return answer;
  };
  // What comes with the connection, Envoy may have read before its timer fires.
  expect(await answered('0s', '')).toBe('');
  expect(await answered('0.05s', '')).toBe('');
  expect(await answered('60s', 'GET / HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
});
