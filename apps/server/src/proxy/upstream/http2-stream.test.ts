import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { ErrorCode, rstFrame, settingsFrame } from '../../http-wire/codec-h2/frames.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { cluster } from '../listener/testing/rig.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { Http2ClientConnection } from './http2-connection.ts';
import type { UpstreamEvents } from './stream.ts';

test('a stream that is given up is reset at once, not at the end of the turn', () => {
  let written = '';
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _, done) {
      written += chunk.toString('latin1');
      done();
    },
  });
  const owner = { onRoom: () => undefined, onGone: () => undefined };
  const session = new Http2ClientConnection(socket as Socket, owner, { clock: () => 0, wheel: new TimerWheel(() => 0), http: cluster([]).http });
  const settings = Buffer.from(settingsFrame([]), 'latin1');
  session.read(settings, 0, settings.length);
  const streams = [1, 3].map((id) => {
    const stream = session.take();
    stream.start({ method: 'GET', path: '/', authority: 'a', scheme: 'http', lines: '', body: Body.none, length: -1, upgrade: '' }, {
      id,
    } as unknown as UpstreamEvents);
    return stream;
  });
  expect(written).toBe('');
  streams[1]?.abort();
  expect(written.endsWith(rstFrame(3, ErrorCode.cancel))).toBe(true);
  streams[0]?.abort();
  socket.destroy();
});
