import { expect, onTestFinished, test } from 'vitest';
import type { ClusterConfig, LoadAssignment } from '../config/model.ts';
import { cluster } from '../listener/testing/rig.ts';
import type { ProxyRuntime } from './hooks.ts';
import { createProxyRuntime } from './runtime.ts';

/** Its endpoints come under that name. */
function named(name: string, edsName: string): ClusterConfig {
  const { endpoints: _, ...config } = cluster([], { name });
  return { ...config, edsName };
}

function assignment(clusterName: string, port: number): LoadAssignment {
  const { endpoints } = cluster([port], { name: clusterName });
  if (endpoints === undefined) throw new Error('the test needs a cluster with endpoints');
  return endpoints;
}

function start(): { runtime: ProxyRuntime; ports: () => Record<string, string[]> } {
  const runtime = createProxyRuntime({ clock: () => 0, random: () => 0, onRequestEnd: () => undefined });
  onTestFinished(() => runtime.close());
  const ports = (): Record<string, string[]> =>
    Object.fromEntries(runtime.stats().clusters.map(({ name, endpoints }) => [name, endpoints.map((e) => e.address)]));
  return { runtime, ports };
}

test('endpoints reach every cluster that is named by them, those of the name now, and no other', () => {
  const { runtime, ports } = start();
  for (const config of [named('a', 'one'), named('b', 'one'), named('c', ''), cluster([9], { name: 'd', edsName: 'one' })]) runtime.applyCluster(config);
  runtime.applyEndpoints(assignment('one', 1));
  runtime.applyEndpoints(assignment('c', 2));
  expect(ports()).toEqual({ a: ['127.0.0.1:1'], b: ['127.0.0.1:1'], c: ['127.0.0.1:2'], d: ['127.0.0.1:9'] });
  runtime.applyCluster(named('b', 'two'));
  runtime.applyEndpoints(assignment('one', 3));
  runtime.applyEndpoints(assignment('two', 4));
  expect(ports()).toMatchObject({ a: ['127.0.0.1:3'], b: ['127.0.0.1:4'] });
  runtime.removeCluster('a');
  runtime.applyCluster(named('a', 'two'));
  runtime.applyEndpoints(assignment('one', 5));
  expect(ports()).toMatchObject({ a: ['127.0.0.1:4'], b: ['127.0.0.1:4'], c: ['127.0.0.1:2'] });
  runtime.removeEndpoints('two');
  expect(ports()).toMatchObject({ a: [], b: [], c: ['127.0.0.1:2'] });
});
