// Which subnet holds an address.

import { compileIpRange, parseIpRange } from '../traffic/index.ts';

/** Bits of the narrowest of the subnets that holds one of the addresses (which may be blocks themselves); undefined = none does. */
export function narrowestHolding(subnets: readonly string[], addresses: readonly string[]): number | undefined {
  const inside = addresses.map(parseIpRange);
  const lengths = subnets
    .map(parseIpRange)
    .filter((subnet) => {
      const holds = compileIpRange(subnet);
      return holds !== undefined && inside.some(({ address, length }) => length >= subnet.length && holds(address));
    })
    .map(({ length }) => length);
  return lengths.length === 0 ? undefined : Math.max(...lengths);
}
