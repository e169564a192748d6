// What several kinds of random objects have parts of.

import type { MeshObject } from '@weft/mesh-core/model';
import type { Random } from '../../fuzz/random.ts';
import { object } from '../../planes/planes.ts';
import { several, value } from './words.ts';

/** Kind with its group version where it is not Istio's networking, name, spec. */
export type Manifest = readonly [kind: string, name: string, spec: object];

export const AUTHORITIES = ['new.example.com', 'h1.test', 'x.test:8080', 'NEW.test'];
const FORMATS = [
  ...['%REQ(x-a)%', '<%REQ(X-B?x-a):2%>', '100%%', '%PROTOCOL%', '%REQ(:path)%', '%REQ(:authority)%', '%REQ(:method)%', '%REQ(:scheme)%', '%RESPONSE_CODE%'],
  ...['%ROUTE_NAME%', '%UPSTREAM_CLUSTER%', '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%', '%RESPONSE_CODE_DETAILS%', '%RESPONSE_FLAGS%'],
  ...['%RESP(x-a)%', '%RESP(:status)%', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '%REQ(host)%', '%REQ(:path):3%'],
  ...['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '%REQ(x-none)%', '%DOWNSTREAM_PEER_URI_SAN%'],
];
export const CHANGED = ['x-a', 'X-B', 'x-new', 'X-New', 'user-agent', 'cookie', 'x-c', 'accept'];
export const CHANGED_BACK = [
  'x-a',
  'x-new',
  'set-cookie',
  'vary',
  'server',
  'location',
  'content-type',
  'X-B',
  'cache-control',
  'date',
  'access-control-allow-origin',
];

function headerValue(random: Random): string {
  return random.below(3) === 0 ? random.pick(FORMATS) : value(random).replaceAll('%', '%%');
}

export function headerPairs(random: Random, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(several(random, 3, () => [random.pick(names), headerValue(random)]));
}

/** In the place of a path or of its start. */
export const rewritten = (random: Random): string => random.pick(['/', '/new', '/new/', '/n?x=1', '/a%20b', '/n#f', '', 'new']);

/** `fill` puts values in the place of placeholders, in the manifests as JSON. What validation refuses is left out. */
export function validObjects(manifests: readonly Manifest[], fill: (json: string) => string): MeshObject[] {
  return (JSON.parse(fill(JSON.stringify(manifests))) as Manifest[]).flatMap(([kind, name, spec]) => {
    try {
      return [object(kind, name, spec)];
    } catch {
      return [];
    }
  });
}
