import type { Propagation } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { spreadText } from './spread-text.ts';

type State = Propagation['proxies'][number]['state'];

test.each<[State[], number | undefined, string]>([
  [['sent', 'acked'], undefined, 'spreading…'],
  [['acked', 'acked'], 12.4, 'everywhere after 12 ms'],
  [['acked', 'disconnected'], 12, 'everywhere else after 12 ms, 1 gone without an answer'],
  [['disconnected', 'disconnected'], 40, 'nowhere: gone after 40 ms without an answer'],
])('%j %s', (states, completeMs, text) => {
  const proxies = states.map((state, i) => ({ proxyId: `${i}`, workload: 'w', namespace: 'n', state, types: ['route'] }));
  expect(spreadText({ revision: '1', proxies, ...(completeMs === undefined ? {} : { completeMs }) })).toBe(text);
});
