import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { createAdmission } from '../admission.ts';
import { createCertificateAuthority } from '../../certificates/ca.ts';
import { createFront } from './front.ts';
import type { FrontOptions } from './front.ts';

/** A front with one place; a connection that is served echoes. */
async function open(tls?: FrontOptions['tls']) {
  const served: { leave: () => void; socket: Socket }[] = [];
  const front = createFront({
    ...(tls === undefined ? {} : { tls }),
    admission: createAdmission({ places: 1 }),
    serve: (socket, leave) => {
      served.push({ leave, socket });
      socket.pipe(socket);
    },
  });
  front.server.listen(0, '127.0.0.1');
  await once(front.server, 'listening');
  onTestFinished(() => {
    front.stop();
    for (const { socket } of served) socket.destroy();
  });
  return { front, served, port: (front.server.address() as AddressInfo).port };
}

test('a connection that finds no place is served later, with all that it sent meanwhile', async () => {
  const { served, port } = await open();
  const [first, second] = [connectTcp(port, '127.0.0.1'), connectTcp(port, '127.0.0.1')];
  first.write('a');
  expect(String((await once(first, 'data'))[0])).toBe('a');
  second.write('b');
  first.write('c');
  expect(String((await once(first, 'data'))[0])).toBe('c');
  expect(served).toHaveLength(1);
  served[0]?.leave();
  expect(String((await once(second, 'data'))[0])).toBe('b');
  first.destroy();
  second.destroy();
});

test('TLS: who waits for a place has its handshake behind it, shows its certificate, and is let go on a stop', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'weft-front-'));
  onTestFinished(() => rm(stateDir, { recursive: true }));
  const authority = await createCertificateAuthority({ stateDir, trustDomain: 'cluster.local' });
  const { privateKeyPem: key, certificatePem: cert } = await authority.issueLeaf(
    { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' },
    { hostNames: [{ type: 'dns', value: 'localhost' }] },
  );
  const ca = authority.rootCaPem;
  const { front, served, port } = await open({ key, cert, ca });
  const secured = async (): Promise<TLSSocket> => {
    const socket = connectTls({ host: '127.0.0.1', servername: 'localhost', port, ca, key, cert, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    return socket;
  };
  const first = await secured();
  first.write('a');
  expect(String((await once(first, 'data'))[0])).toBe('a');
  expect((served[0]?.socket as TLSSocket).getPeerX509Certificate()?.subjectAltName).toContain('/ns/a/sa/b');
  const second = await secured();
  second.write('b'.repeat(100_000));
  expect(served).toHaveLength(1);
  second.on('error', () => undefined);
  const closed = new Promise((resolve) => second.on('close', resolve));
  front.stop();
  await closed;
  first.destroy();
});
