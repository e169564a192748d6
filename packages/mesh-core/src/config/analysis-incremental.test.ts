// An analysis that has seen the mesh before finds what one finds that has not.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { atOnce, type MeshObject, refKey, refOf } from '../model/index.ts';
import type { ConnectedProxy } from './analyze-mesh.ts';
import { analyzeObjects, createAnalysis } from './analyze.ts';

function randomObject(random: (below: number) => number): MeshObject {
  const pick = <T>(...of: T[]): T => of[random(of.length)] as T;
  const app = (): string => pick('a', 'b');
  const namespace = pick('one', 'one', 'two');
  const version = (): string => pick('v1', 'v2');
  const host = (): string => pick(app(), app(), app(), `${app()}.two.svc.cluster.local`, 'out.example.com', 'x.wild.example.com');
  const make = (group: string, kind: string, spec: unknown, name = app()): MeshObject => ({
    apiVersion: group,
    kind,
    metadata: { name, namespace, creationTimestamp: `2026-01-01T00:00:0${random(9)}Z` },
    spec,
  });
  const networking = 'networking.istio.io/v1';
  const security = 'security.istio.io/v1';
  switch (random(9)) {
    case 0:
      return make('v1', 'Service', { selector: pick({ app: app() }, { app: app(), version: version() }), ports: [{ name: 'http', port: pick(80, 81) }] });
    case 1:
      return make(networking, 'WorkloadEntry', { address: '10.0.0.1', labels: { app: app(), version: version() }, serviceAccount: app() });
    case 2:
      return make(networking, 'ServiceEntry', {
        hosts: pick(['out.example.com'], ['*.wild.example.com'], [`${app()}.example.com`, 'out.example.com']),
        ports: [{ name: 'p', number: pick(80, 81), protocol: pick('HTTP', 'TCP') }],
        ...pick({}, { exportTo: ['.'] }),
      });
    case 3:
    case 4:
      return make(networking, 'VirtualService', {
        hosts: [host()],
        ...pick({}, {}, { gateways: [app()] }),
        http: [{ route: [{ destination: { host: host(), ...pick({}, { subset: version() }, { port: { number: 80 } }) }, weight: pick(50, 100) }] }],
      });
    case 5:
      return make(networking, 'DestinationRule', { host: host(), subsets: [{ name: version(), labels: { version: version() } }] });
    case 6:
      return make(networking, 'Gateway', { selector: { app: app() }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: [host()] }] });
    case 7:
      return make(security, 'PeerAuthentication', pick({ mtls: { mode: 'DISABLE' } }, { selector: { matchLabels: { app: app() } }, mtls: { mode: 'STRICT' } }));
    default:
      return make(security, 'AuthorizationPolicy', {
        selector: { matchLabels: { app: app() } },
        rules: [
          {
            from: [{ source: { principals: [`cluster.local/ns/${namespace}/sa/${app()}`], namespaces: [pick('one', 'three')] } }],
            to: [{ operation: { hosts: [host()] } }],
          },
        ],
      });
  }
}

function randomProxy(random: (below: number) => number): ConnectedProxy {
  const [namespace, app] = [['one', 'two', 'three'][random(3)] ?? '', ['a', 'b'][random(2)] ?? ''];
  return { namespace, identity: `spiffe://cluster.local/ns/${namespace}/sa/${app}`, labels: { app } };
}

/** What chooses among shapes. */
const edit = fc.array(fc.nat(999), { minLength: 30, maxLength: 30 });

test('an analysis that goes on finds after each edit what a new one finds', () => {
  const told = new Set<string>();
  fc.assert(
    fc.property(fc.array(edit, { minLength: 30, maxLength: 60 }), (edits) => {
      const analysis = createAnalysis();
      const objects = new Map<string, MeshObject>();
      for (const numbers of edits) {
        const left = [...numbers];
        const random = (below: number): number => (left.pop() ?? 0) % below;
        const object = randomObject(random);
        if (random(4) === 0) objects.delete(refKey(refOf(object)));
        else objects.set(refKey(refOf(object)), object);
        const proxies = Array.from({ length: random(3) }, () => randomProxy(random));
        const all = [...objects.values()];
        const found = atOnce(analysis(all, proxies));
        for (const { code } of found) told.add(code);
        expect(found).toEqual(analyzeObjects(all, proxies));
      }
    }),
    { numRuns: 60 },
  );
  // It has been about something.
  expect(told.size).toBeGreaterThan(8);
});

test('an analysis of many objects is made piece by piece, and of those that are the same nothing is looked at again', () => {
  let looks = 0;
  const service = (i: number): MeshObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: `vs${i}`, namespace: 'one' },
    get spec() {
      looks += 1;
      return { hosts: [`s${i}`], http: [{ route: [{ destination: { host: `s${i}` } }] }] };
    },
  });
  const objects = Array.from({ length: 1_000 }, (_, i) => service(i));
  const analysis = createAnalysis();
  const most: number[] = [];
  for (const _ of analysis(objects, [])) {
    most.push(looks);
    looks = 0;
  }
  expect(Math.max(...most)).toBeLessThan(6_000);
  expect(most.length).toBeGreaterThan(10);
  looks = 0;
  atOnce(analysis([...objects], []));
  expect(looks).toBe(0);
});
