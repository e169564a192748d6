import { expect, test } from 'vitest';
import { type PolicyForm, type PolicyTexts, readPolicies, writePolicies } from './policy-form.ts';

const VS = `# kept
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: shop }
spec:
  hosts: [reviews]
  http:
    - route:
        - destination: { host: reviews, subset: v1 } # the old one
          weight: 90
        - destination: { host: reviews, subset: v2 }
          weight: 10
`;
const DR = `kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec:
  host: reviews
  trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5, interval: 10s } }
  subsets:
    - { name: v1, labels: { version: v1 } }
`;
const service = { namespace: 'shop', name: 'reviews' };
const write = (texts: PolicyTexts, change: Partial<PolicyForm>): PolicyTexts => {
  const before = readPolicies(texts);
  return writePolicies(texts, before, { ...before, ...change }, service);
};

test('what the forms show is what the objects say', () => {
  expect(readPolicies({ virtualService: VS, destinationRule: DR })).toMatchObject({
    timeout: '',
    delay: '',
    ejectAfter: '5',
    ejectInterval: '10s',
    maxConnections: '',
  });
  expect(Object.values(readPolicies({ virtualService: undefined, destinationRule: undefined })).every((v) => v === '')).toBe(true);
});

test('timeout, retries and faults go into the rule that takes every request; comments and weights stay', () => {
  const { virtualService, destinationRule } = write(
    { virtualService: VS, destinationRule: DR },
    { timeout: '2s', retryAttempts: '3', retryOn: '5xx', delay: '1s', abort: '503', abortPercent: '10' },
  );
  expect(virtualService).toContain('# kept');
  expect(virtualService).toContain('# the old one');
  expect(virtualService).toContain('weight: 90');
  expect(virtualService).toContain('timeout: 2s');
  expect(readPolicies({ virtualService, destinationRule })).toMatchObject({
    ...{ timeout: '2s', retryAttempts: '3', retryOn: '5xx' },
    ...{ delay: '1s', delayPercent: '100', abort: '503', abortPercent: '10' },
  });
  expect(destinationRule).toBe(DR);
});

test('what is emptied is taken away with its parents, and what means nothing alone goes with it', () => {
  const with2 = write(
    { virtualService: VS, destinationRule: DR },
    { delay: '1s', abort: '503', mirror: 'v2', mirrorPercent: '50', retryAttempts: '2', retryTimeout: '1s' },
  );
  expect(with2.virtualService).toMatch(/mirror:\n +host: reviews\n +subset: v2/);
  expect(with2.virtualService).toContain('hosts: [reviews]');
  const without = write(with2, { delay: '', abort: '', mirror: '', retryAttempts: '' });
  expect(without.virtualService).not.toMatch(/fault|mirror|retries/);
  const rule = write({ virtualService: VS, destinationRule: DR }, { ejectAfter: '', ejectInterval: '' }).destinationRule;
  expect(rule).not.toContain('trafficPolicy');
  expect(rule).toContain('subsets');
});

test('requests with a header go first, are changed in place, and taken away', () => {
  const added = write({ virtualService: VS, destinationRule: DR }, { headerName: 'end-user', headerValue: 'jason', headerSubset: 'v2' });
  expect(added.virtualService?.indexOf('by-header')).toBeLessThan(added.virtualService?.indexOf('weight') ?? 0);
  const moved = write(added, { headerSubset: 'v1', timeout: '3s' });
  expect(readPolicies(moved)).toMatchObject({ headerName: 'end-user', headerValue: 'jason', headerSubset: 'v1', timeout: '3s' });
  expect(moved.virtualService?.match(/by-header/g)).toHaveLength(1);
  expect(write(moved, { headerName: '' }).virtualService).not.toContain('by-header');
});

test('objects that are not there are made', () => {
  const made = write({ virtualService: undefined, destinationRule: undefined }, { timeout: '2s', maxConnections: '100', balancer: 'LEAST_REQUEST' });
  expect(made.virtualService).toContain('hosts:\n    - reviews\n');
  expect(made.virtualService).toMatch(/host: reviews[\s\S]*timeout: 2s/);
  expect(readPolicies(made)).toMatchObject({ timeout: '2s', maxConnections: '100', balancer: 'LEAST_REQUEST' });
  expect(write({ virtualService: undefined, destinationRule: undefined }, {})).toEqual({ virtualService: undefined, destinationRule: undefined });
});
