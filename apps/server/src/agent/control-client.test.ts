import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createControlClient } from './control-client.ts';

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

/** Answers the first so many requests of each connection, and then ends it by `cut`; says what it was asked. */
async function server(answered: number, cut: (socket: Socket) => void): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  let connections = 0;
  const listening = createServer((socket) => {
    const number = ++connections;
    let requests = 0;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const line = /^(\w+ \S+) HTTP/.exec(bytes.toString())?.[1];
      if (line === undefined) return;
      asked.push(`${number}: ${line}`);
      if (++requests <= answered) socket.write(ANSWER);
      else cut(socket);
    });
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void listening.close());
  return { url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, asked };
}

test.each([
  ['reset', (socket: Socket) => void socket.resetAndDestroy()],
  ['closed', (socket: Socket) => void socket.end()],
])('a kept connection that is %s as it is asked: it asks again, until on a new one', async (_, cut) => {
  const { url, asked } = await server(1, cut);
  const client = createControlClient(url, 'test');
  await client.getJson('/a');
  expect(await client.getJson('/b')).toEqual({});
  expect(await client.putJson('/c', {})).toEqual({});
  // The first has answered once, and is free again.
  const put = asked.filter((line) => line.endsWith('PUT /c'));
  expect(put[0]).toMatch(/^[12]:/);
  expect(put.length).toBeGreaterThan(1);
});

test('a new connection that ends without an answer is what the server has to say', async () => {
  const { url, asked } = await server(0, (socket) => void socket.end());
  await expect(createControlClient(url, 'test').getJson('/a')).rejects.toThrow('closed the connection without an answer');
  expect(asked).toEqual(['1: GET /a']);
});
