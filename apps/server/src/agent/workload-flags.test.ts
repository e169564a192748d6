import { expect, test } from 'vitest';
import { xdsNode } from '../proxy/config/proxy-spec.ts';
import type { ControlClient } from './control-client.ts';
import { parseLocality, parseWorkloadLabels } from './workload-flags.ts';
import { planWorkload, proxySpec, workloadEntry } from './workload.ts';

test('peers, control plane and metrics read the labels and the locality of the command line', async () => {
  const labels = parseWorkloadLabels(['tier=gold', 'empty=', 'example.com/eq=a', 'service.istio.io/canonical-name=shop']);
  const request = { service: 'x', namespace: 'y', version: 'v1', ports: [], upstreams: [], labels, locality: parseLocality('r/z') };
  const plan = await planWorkload(request, { allocate: () => Promise.resolve(1) });
  const wanted = { app: 'x', version: 'v1', tier: 'gold', empty: '', 'example.com/eq': 'a', 'service.istio.io/canonical-name': 'shop' };
  expect(workloadEntry(plan).spec).toMatchObject({ labels: wanted, locality: 'r/z' });
  const spec = await proxySpec(plan, { joinToken: () => Promise.resolve({}) } as unknown as ControlClient, '');
  expect(xdsNode(spec, 'envoy', '1')).toMatchObject({ metadata: { LABELS: wanted }, locality: { region: 'r', zone: 'z', sub_zone: '' } });
});

test('without a locality nothing is said of it', async () => {
  const plan = await planWorkload({ service: 'x', namespace: 'y', version: 'v1', ports: [], upstreams: [] }, { allocate: () => Promise.resolve(1) });
  expect(workloadEntry(plan).spec).not.toHaveProperty('locality');
  const spec = await proxySpec(plan, { joinToken: () => Promise.resolve({}) } as unknown as ControlClient, '');
  expect(xdsNode(spec, 'embedded', '1')).not.toHaveProperty('locality');
});

test.each([
  ['tier', '--label tier: write <key>=<value>, like tier=gold'],
  ['=gold', '--label =gold: write <key>=<value>, like tier=gold'],
  ['a b=c', '--label a b=c: a b must be a label name'],
  ['tier=a b', '--label tier=a b: a b must be a label value'],
  ['version=v2', '--label version=v2: version is not free, say it with --service-version'],
])('label %s is refused', (text, reason) => {
  expect(() => parseWorkloadLabels([text])).toThrow(reason);
});

test.each(['/z', 'r//s', 'r/z/s/', 'r/z/s/t', 'r/*', 'r z'])('locality %s is refused', (text) => {
  expect(() => parseLocality(text)).toThrow(`--locality ${text}: write region, region/zone or region/zone/subzone`);
});
