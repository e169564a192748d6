import { ALIVE_MS } from '@weft/mesh-core/api';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type LiveState, createLiveClient } from './live.ts';

class FakeSocket {
  sent: unknown[] = [];
  closed = false;
  onopen: ((event: Event) => unknown) | null = null;
  onmessage: ((event: MessageEvent) => unknown) | null = null;
  onclose: ((event: CloseEvent) => unknown) | null = null;
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
  }
  says(message: object): void {
    this.onmessage?.(new MessageEvent('message', { data: JSON.stringify(message) }));
  }
}

let sockets: FakeSocket[];
beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
});
afterEach(() => vi.useRealTimers());

function client() {
  const states: LiveState[] = [];
  const live = createLiveClient({
    connect: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    random: () => 0.5,
    setTimeout: (run, ms) => setTimeout(run, ms),
  });
  live.watch((state) => states.push(state));
  live.subscribe({ topic: 'status' }, () => undefined);
  return { live, states };
}

test('a server that says nothing is lost, though no socket closes; another connection is tried, and asks again', () => {
  const { live, states } = client();
  sockets[0]?.onopen?.(new Event('open'));
  for (let i = 0; i < 5; i += 1) {
    vi.advanceTimersByTime(ALIVE_MS);
    sockets[0]?.says({ type: 'alive' });
  }
  expect([states.at(-1), sockets.length]).toEqual(['live', 1]);
  vi.advanceTimersByTime(6 * ALIVE_MS);
  expect([states.at(-1), sockets[0]?.closed, sockets.length]).toEqual(['lost', true, 2]);
  // Neither does the next one open: the kernel took the connection of a frozen process.
  vi.advanceTimersByTime(4 * ALIVE_MS);
  expect([states.at(-1), sockets[1]?.closed, sockets.length]).toEqual(['lost', true, 3]);
  sockets[2]?.onopen?.(new Event('open'));
  expect([states.at(-1), sockets[2]?.sent]).toEqual(['live', [{ op: 'subscribe', id: 1, topic: 'status' }]]);
  sockets[0]?.onclose?.(new CloseEvent('close'));
  expect(states.at(-1)).toBe('live');
  live.close();
});
