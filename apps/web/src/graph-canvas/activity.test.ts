import { expect, test } from 'vitest';
import { activity } from './activity.ts';

test('a node without requests shows its TCP bytes, else what it sends', () => {
  const none = { inRps: 0, outRps: 0, tcpBytes: 0 };
  const workload = { kind: 'workload' } as const;
  expect(activity(workload, none)).toBeUndefined();
  expect(activity(workload, { ...none, inRps: 20, outRps: 40 })).toBe('20.0 /s');
  expect(activity(workload, { ...none, outRps: 3.4 })).toBe('3.4 /s out');
  expect(activity(workload, { ...none, tcpBytes: 13_300 })).toBe('13.3 kB/s');
  expect(activity({ kind: 'gateway' }, { ...none, outRps: 3.4 })).toBe('3.4 /s');
});
