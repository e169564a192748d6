import * as tls from 'node:tls';
import { expect, test, vi } from 'vitest';
import { decodeTlsParams } from './decode-tls.ts';
import { Fields } from './fields.ts';

vi.mock('node:tls', async (original) => {
  const real = await original<typeof tls>();
  return { ...real, createSecureContext: vi.fn(real.createSecureContext) };
});

test('parameters thousands of clusters agree in are tried once; bad ones are told each time', () => {
  const made = vi.mocked(tls.createSecureContext);
  const read = (curve: string): string[] => {
    const fields = new Fields({ ecdhCurves: [curve] }, 'tlsParams', []);
    decodeTlsParams(fields);
    return fields.problems;
  };
  for (let i = 0; i < 3; i += 1) expect(read('P-256')).toEqual([]);
  expect(made).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 2; i += 1) expect(read('P-1')).toEqual([expect.stringContaining('ecdhCurves: does not load')]);
});
