import { expect, test } from 'vitest';
import { narrowestHolding } from './subnets.ts';

test.each<[subnets: string[], addresses: string[], narrowest: number | undefined]>([
  [['10.77.0.1'], ['10.77.0.1'], 32],
  [['10.77.0.0/16', '10.77.0.0/24', '10.0.0.0/8'], ['10.77.0.1'], 24],
  [['10.77.0.0/15'], ['10.76.255.255'], 15],
  [['10.77.0.0/16'], ['10.78.0.1'], undefined],
  [['10.77.0.0/16'], ['10.78.0.1', '10.77.9.9'], 16],
  [['0.0.0.0/0'], ['1.2.3.4'], 0],
  [['10.88.0.0/16'], ['10.88.0.0/16'], 16],
  [['10.88.1.0/24'], ['10.88.0.0/16'], undefined],
  [['2001:db8::/32', '::/0'], ['2001:db8:1::7'], 32],
  [['2001:db8::7'], ['2001:0db8:0:0:0:0:0:7'], 128],
  [['2001:db8::/32'], ['2001:db9::1'], undefined],
  [['10.0.0.0/8'], ['::a00:1'], undefined],
  [[], ['10.0.0.1'], undefined],
  [['10.0.0.0/8'], ['db.example.com', ''], undefined],
])('%j holds %j by %s bits', (subnets, addresses, narrowest) => {
  expect(narrowestHolding(subnets, addresses)).toBe(narrowest);
});
