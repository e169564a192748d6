import { expect, test } from 'vitest';
import { Base64Reader, FrameEncoder, grpcWebKind, webAnswerLines } from './grpc-web.ts';

const framed = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, text.length >> 8, text.length & 255]), Buffer.from(text)]);

test('each frame is encoded by itself, however the body is cut', () => {
  const frames = ['', 'a', 'ab', 'abc', 'abcd', 'x'.repeat(700)].map(framed);
  const all = Buffer.concat(frames);
  const whole = frames.map((frame) => frame.toString('base64')).join('');
  const encoder = new FrameEncoder();
  for (const size of [1, 2, 3, 4, 5, 7, 64, all.length]) {
    encoder.reset();
    let text = '';
    for (let i = 0; i < all.length; i += size) text += encoder.feed(all, i, Math.min(all.length, i + size));
    expect(text).toBe(whole);
  }
});

test('base64 is read in groups, however it is cut; what is none is told', () => {
  const text = Buffer.from(Buffer.from('hello, world').toString('base64'));
  const reader = new Base64Reader();
  for (const size of [1, 3, 4, 5, text.length]) {
    let read = '';
    for (let i = 0; i < text.length; i += size) read += reader.feed(text, i, Math.min(text.length, i + size))?.toString();
    expect([read, reader.incomplete]).toEqual(['hello, world', false]);
  }
  for (const wrong of ['AA=A', 'A===', '=AAA', 'AA_A', 'AA==AAAA']) expect(new Base64Reader().feed(Buffer.from(wrong), 0, wrong.length)).toBeUndefined();
  reader.feed(Buffer.from('AAAAA'), 0, 5);
  expect(reader.incomplete).toBe(true);
});

test('which types are gRPC-Web, and what is answered in which', () => {
  expect(['application/grpc-web', 'application/grpc-web+proto'].map((type) => grpcWebKind(type, undefined))).toEqual(
    Array(2).fill({ textRequest: false, textResponse: false }),
  );
  expect(grpcWebKind('application/grpc-web-text', 'application/grpc-web-text')).toEqual({ textRequest: true, textResponse: true });
  for (const type of ['', 'application/grpc', 'application/grpc-web+json', 'application/grpc-web; charset=utf-8'])
    expect(grpcWebKind(type, undefined)).toBeUndefined();
  expect(webAnswerLines('a: b\r\nContent-Type: application/grpc+proto\r\n', true)).toBe('a: b\r\ncontent-type: application/grpc-web-text+proto\r\n');
  expect(webAnswerLines('x-content-type: application/grpc\r\ncontent-type: text/html\r\n', false)).toBeUndefined();
});
