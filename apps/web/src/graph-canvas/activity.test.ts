import { expect, test } from 'vitest';
import { activity } from './activity.ts';

test('a node shows its requests, else what it sends, and its TCP bytes', () => {
  const none = { inRps: 0, outRps: 0, tcpBytes: 0 };
  const workload = { kind: 'workload' } as const;
  expect(activity(workload, none)).toEqual([]);
  expect(activity(workload, { ...none, inRps: 20, outRps: 40 })).toEqual(['20.0 /s']);
  expect(activity(workload, { ...none, outRps: 3.4 })).toEqual(['3.4 /s out']);
  expect(activity(workload, { ...none, tcpBytes: 13_300 })).toEqual(['13.3 kB/s']);
  expect(activity(workload, { ...none, outRps: 3.4, tcpBytes: 13_300 })).toEqual(['3.4 /s out', '13.3 kB/s']);
  expect(activity(workload, { inRps: 20, outRps: 40, tcpBytes: 13_300 })).toEqual(['20.0 /s', '13.3 kB/s']);
  expect(activity({ kind: 'gateway' }, { ...none, outRps: 3.4 })).toEqual(['3.4 /s']);
});
