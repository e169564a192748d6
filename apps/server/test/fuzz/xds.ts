// Resources as the translator makes them, with bytes changed: decoded or refused by name, nothing else.

import { readFileSync } from 'node:fs';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { DecodeError, decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig } from '../../src/proxy/config/decode.ts';
import { proxy, readObjects, resourcesOf } from '../conformance/objects.ts';
import type { Target } from './target.ts';

const decoders = [
  [TYPE_URL.listener, decodeListener],
  [TYPE_URL.route, decodeRouteConfig],
  [TYPE_URL.cluster, decodeCluster],
  [TYPE_URL.endpoint, decodeEndpoints],
] as const;

export const bookinfo = readFileSync(new URL('../../../../examples/bookinfo/bookinfo.yaml', import.meta.url), 'utf8');

/** A case: the number of the decoder, then the bytes. */
export function xdsTarget(): Target {
  const resources = resourcesOf(readObjects(bookinfo).objects, proxy({ namespace: 'bookinfo' }));
  const seeds = decoders.flatMap(([typeUrl], i) => [...resources[typeUrl].values()].map(({ body }) => String(i) + Buffer.from(body).toString('latin1')));
  return {
    name: 'xds-decode',
    make(random) {
      if (random.below(10) === 0) return String(random.below(decoders.length)) + random.bytes(random.below(200));
      const seed = random.pick(seeds);
      return (
        seed.slice(0, 1) + random.mutate(seed.slice(1), ['\0', '\x01', '\x7f', '\x80', '\xff', '\x0a', '\x12', '\xff\xff\xff\xff\x0f', ...seeds.slice(0, 3)])
      );
    },
    check(input) {
      const decode = decoders[Number(input[0])]?.[1];
      try {
        decode?.(Buffer.from(input.slice(1), 'latin1'), 'fuzz');
        return true;
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        return !/wire|premature|invalid|illegal/i.test(error.message);
      }
    },
  };
}
