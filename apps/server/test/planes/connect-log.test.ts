// What logs say of a CONNECT where there are no tunnels, on both data planes.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PLANES, object, runPlane } from './planes.ts';

test.each(PLANES)('%s: host, agent and id are told, whichever protocol the client speaks', async (plane) => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-log-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const spec = { hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'p', protocol: 'HTTP' }], endpoints: [{ address: '127.0.0.1' }] };
  const accessLogFile = join(dir, 'log');
  const node = { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] };
  const { port, stop } = await runPlane(plane, [object('ServiceEntry', 'app', spec)], { node, settings: { accessLogFile } });

  const session = connectHttp2(`http://127.0.0.1:${port('app.test_80')}`);
  const asked = session.request({ ':method': 'CONNECT', ':authority': 'a.test:443', 'user-agent': 'agent' });
  expect((await once(asked, 'response'))[0]).toMatchObject({ ':status': 404 });
  session.destroy();
  const socket = connect(port('app.test_80'), '127.0.0.1');
  socket.write('CONNECT a.test:443 HTTP/1.1\r\nhost: a.test:443\r\nuser-agent: agent\r\n\r\n');
  expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 404 /);
  socket.destroy();
  await stop();
  const line = (protocol: string): unknown =>
    expect.stringMatching(new RegExp(`"CONNECT - ${protocol}" 404 NR route_not_found - "-" 0 0 \\d+ - "-" "agent" "[0-9a-f-]{36}" "a\\.test:443" "-" - - `));
  expect(readFileSync(accessLogFile, 'utf8').trim().split('\n')).toEqual([line('HTTP/2'), line('HTTP/1.1')]);
});
