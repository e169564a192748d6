import { expect, test } from 'vitest';
import { ProxyRegistry } from './proxy-registry.ts';
import type { ProxyConnection } from './proxy-connection.ts';

test('a lost proxy is forgotten after a while, though nobody looks', () => {
  let now = 0;
  const registry = new ProxyRegistry(() => now);
  const connect = (id: string): { disconnectedAt: number | undefined } => {
    const connection = { node: { id, dataPlane: 'embedded' }, disconnectedAt: undefined as number | undefined };
    registry.add(connection as unknown as ProxyConnection, 'ads', () => undefined);
    return connection;
  };
  const lost = connect('lost');
  connect('here');
  lost.disconnectedAt = now;
  registry.lost(lost as unknown as ProxyConnection);
  now = 600_000;
  connect('next');
  expect(registry.get('lost')).toBe(lost);
  now += 1;
  connect('last');
  expect(['lost', 'here', 'next', 'last'].filter((id) => registry.get(id) !== undefined)).toEqual(['here', 'next', 'last']);
});
