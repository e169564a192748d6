import { expect, test } from 'vitest';
import type { ControlClient } from './control-client.ts';
import { type ProxyProcess, failureOf, startProxy } from './start-proxy.ts';

test('a second proxy of one name is refused while the first is connected', async () => {
  const started = new Error('goes on to the filters');
  const start = (state: string, workload: string) => {
    const client = {
      getJson: () =>
        Promise.resolve({
          items: [
            { workload: 'other', namespace: 'foo', state: 'synced' },
            { workload: 'curl-v1', namespace: 'foo', state },
          ],
        }),
      list: () => Promise.reject(started),
    } as unknown as ControlClient;
    const spec = { workload, namespace: 'foo' } as ProxyProcess['spec'];
    return startProxy({ name: 'x', spec, binary: '/envoy', secondAdminPort: undefined, stateDir: '/nowhere', client, log: () => undefined });
  };
  await expect(start('synced', 'curl-v1')).rejects.toThrow('curl-v1.foo is in the mesh already');
  await expect(start('disconnected', 'curl-v1')).rejects.toBe(started);
  await expect(start('synced', 'curl-v2')).rejects.toBe(started);
});

test('a proxy that could not open its ports has not started', () => {
  expect(failureOf('{"ready":["hello-v1.default"],"failed":[]}')).toBeUndefined();
  expect(failureOf('{"ready":[],"failed":[{"name":"hello-v1.default","reason":"listen EADDRINUSE 127.0.0.1:22001"}]}')).toContain('EADDRINUSE');
});
