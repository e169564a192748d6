import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const SERVICES = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: bookinfo }
spec: { selector: { app: reviews }, ports: [{ name: http, port: 9080 }] }
---
${['v1', 'v2', 'v3'].map((v) => `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: reviews-${v}, namespace: bookinfo }\nspec: { address: 127.0.0.1, labels: { app: reviews, version: ${v} } }`).join('\n---\n')}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: bookinfo }
spec: { host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }, { name: v3, labels: { version: v3 } }] }
`;

let count = 0;
const object = (kind: string, spec: string, name?: string): string => {
  count += 1;
  const group = kind === 'PeerAuthentication' ? 'security' : 'networking';
  return `---\napiVersion: ${group}.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name ?? `x${count}`}, namespace: bookinfo }\nspec: ${spec}\n`;
};
const vs = (http: string): string => object('VirtualService', `{ hosts: [reviews], http: ${http} }`);
const to = (subset: string, more = ''): string => `{ destination: { host: reviews, subset: ${subset} }${more} }`;

function analyse(...texts: string[]) {
  const { documents, problems } = parseYaml(SERVICES + texts.join(''));
  const checked = documents.map((d) => validateObject(d.value, d));
  expect([...problems, ...checked.flatMap((c) => c.problems)]).toEqual([]);
  return analyzeObjects(checked.flatMap((c) => (c.object === undefined ? [] : [c.object])));
}

test('a mesh in order has no problems', () => {
  expect(analyse(vs(`[{ route: [${to('v1', ', weight: 90')}, ${to('v2', ', weight: 10')}] }]`))).toEqual([]);
});

test('a missing subset names those there are, and offers one', () => {
  expect(analyse(vs(`[{ route: [${to('v4')}] }]`))).toMatchObject([
    {
      severity: 'error',
      code: 'KIA1107',
      message: 'DestinationRule reviews has no subset v4. It has v1, v2, v3.',
      path: 'spec.http[0].route[0].destination.subset',
      fix: { label: 'Use v3', value: 'v3' },
      ref: { kind: 'VirtualService', namespace: 'bookinfo' },
    },
  ]);
});

test.each([
  [
    'an unknown host',
    vs('[{ route: [{ destination: { host: revews } }] }]'),
    'KIA1101',
    'spec.http[0].route[0].destination.host',
    { label: 'Use reviews', value: 'reviews' },
  ],
  [
    'an unknown port',
    vs('[{ route: [{ destination: { host: reviews, port: { number: 80 } } }] }]'),
    'KIA1101',
    'spec.http[0].route[0].destination.port.number',
    { label: 'Use 9080', value: 9080 },
  ],
  [
    'an unknown host of a TCP route',
    object('VirtualService', '{ hosts: [reviews], tcp: [{ route: [{ destination: { host: mongo } }] }] }'),
    'KIA1101',
    'spec.tcp[0].route[0].destination.host',
    undefined,
  ],
  [
    'an unknown mirror',
    vs(`[{ route: [${to('v1')}], mirror: { host: reviews, subset: v9 } }]`),
    'KIA1107',
    'spec.http[0].mirror.subset',
    { label: 'Use v3', value: 'v3' },
  ],
  [
    'a missing gateway',
    object('VirtualService', `{ hosts: [a.example.com], gateways: [front], http: [{ route: [${to('v1')}] }] }`),
    'KIA1102',
    'spec.gateways[0]',
    undefined,
  ],
  [
    'one destination twice',
    vs(`[{ route: [${to('v1', ', weight: 50')}, ${to('v1', ', weight: 50')}] }]`),
    'KIA1105',
    'spec.http[0].route[1].destination',
    undefined,
  ],
  [
    'weights that do not add up',
    vs(`[{ route: [${to('v1', ', weight: 9')}, ${to('v2', ', weight: 1')}] }]`),
    'WEFT_WEIGHTS_SUM',
    'spec.http[0].route',
    undefined,
  ],
  [
    'retries beyond the timeout',
    vs(`[{ timeout: 5s, retries: { attempts: 3, perTryTimeout: 2s }, route: [${to('v1')}] }]`),
    'WEFT_RETRY_EXCEEDS_TIMEOUT',
    'spec.http[0].retries.perTryTimeout',
    { label: 'Set 1666ms', value: '1666ms' },
  ],
  [
    'a rule after one without match',
    vs(`[{ route: [${to('v1')}] }, { match: [{ uri: { prefix: /x } }], route: [${to('v2')}] }]`),
    'IST0130',
    'spec.http[1]',
    undefined,
  ],
  ['a rule after prefix /', vs(`[{ match: [{ uri: { prefix: / } }], route: [${to('v1')}] }, { route: [${to('v2')}] }]`), 'IST0130', 'spec.http[1]', undefined],
  ['a DestinationRule for nothing', object('DestinationRule', '{ host: review }'), 'KIA0202', 'spec.host', { label: 'Use reviews', value: 'reviews' }],
  [
    'a subset of nothing',
    object('DestinationRule', '{ host: reviews, subsets: [{ name: v7, labels: { version: v7 } }] }'),
    'KIA0203',
    'spec.subsets[0].labels',
    undefined,
  ],
  ['a subset without labels', object('DestinationRule', '{ host: reviews, subsets: [{ name: all }] }'), 'KIA0209', 'spec.subsets[0]', undefined],
  [
    'a subset defined twice',
    object('DestinationRule', '{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }'),
    'KIA0201',
    'spec.subsets[0].name',
    undefined,
  ],
  [
    'an ejection that cannot happen',
    object('DestinationRule', '{ host: reviews, trafficPolicy: { outlierDetection: { interval: 30s } } }'),
    'WEFT_OUTLIER_EJECTS_NOTHING',
    'spec.trafficPolicy.outlierDetection',
    { label: 'Set maxEjectionPercent 100', value: { interval: '30s', maxEjectionPercent: 100 } },
  ],
  [
    'a policy for nobody',
    object('PeerAuthentication', '{ selector: { matchLabels: { app: none } }, mtls: { mode: STRICT } }'),
    'KIA0004',
    'spec.selector.matchLabels',
    undefined,
  ],
])('%s is told, and nothing else', (_, text, code, path, fix) => {
  const problems = analyse(text);
  expect(problems.map((p) => p.code)).toEqual([code]);
  expect(problems[0]?.path).toBe(path);
  expect(problems[0]?.fix).toEqual(fix);
});

test('a rule after one that matches a header is reached', () => {
  expect(analyse(vs(`[{ match: [{ headers: { end-user: { exact: jason } } }], route: [${to('v2')}] }, { route: [${to('v1')}] }]`))).toEqual([]);
});

test('ejection is possible with maxEjectionPercent 50 of 3', () => {
  expect(analyse(object('DestinationRule', '{ host: reviews, trafficPolicy: { outlierDetection: { maxEjectionPercent: 50 } } }'))).toEqual([]);
});

test('the newer of two VirtualServices for a host is told, whatever their order', () => {
  const dated = (name: string, at: string): string => vs(`[{ route: [${to('v1')}] }]`).replace(/name: x\d+/, `name: ${name}, creationTimestamp: "${at}"`);
  expect(analyse(dated('new', '2026-02-01T00:00:00Z'), dated('old', '2026-01-01T00:00:00Z'))).toMatchObject([
    { code: 'KIA1106', severity: 'warning', ref: { name: 'new' }, path: 'spec.hosts[0]' },
  ]);
});

test('subsets that do not count behind a gateway are those sidecars choose for the same service', () => {
  const gateway = object('Gateway', '{ selector: { a: b }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [x.example.com] }] }', 'gw');
  const through = object('VirtualService', '{ hosts: [x.example.com], gateways: [gw], http: [{ route: [{ destination: { host: reviews } }] }] }');
  const told = (...texts: string[]) => analyse(gateway, through, ...texts).filter((p) => p.code === 'IST0140');
  const elsewhere = object('VirtualService', `{ hosts: [reviews], http: [{ route: [${to('v1')}] }] }`).replace('namespace: bookinfo', 'namespace: other');
  const full = object('VirtualService', `{ hosts: [reviews.bookinfo.svc.cluster.local], http: [{ route: [${to('v1')}] }] }`, 'full');
  const atGateway = object('VirtualService', `{ hosts: [reviews], gateways: [gw], http: [{ route: [${to('v1')}] }] }`);
  expect(told(elsewhere, atGateway)).toEqual([]);
  expect(told(full, elsewhere)).toMatchObject([{ message: expect.stringContaining('VirtualService bookinfo/full chooses for reviews') as string }]);
});

test('two PeerAuthentications for one namespace contradict', () => {
  const strict = '{ mtls: { mode: STRICT } }';
  expect(analyse(object('PeerAuthentication', strict, 'a'), object('PeerAuthentication', strict, 'b'))).toMatchObject([
    { code: 'KIA0002', severity: 'error', ref: { name: 'b' } },
  ]);
});

test('what of a Sidecar has no effect without interception is told with its path', () => {
  const sidecar = {
    ...{ apiVersion: 'networking.istio.io/v1', kind: 'Sidecar', metadata: { name: 's', namespace: 'shop' } },
    spec: {
      ingress: [
        { port: { number: 9080, protocol: 'HTTP', name: 'own' }, captureMode: 'IPTABLES' },
        { port: { number: 1, protocol: 'TCP', name: 'a' }, captureMode: 'IPTABLES' },
        { port: { number: 2, protocol: 'TCP', name: 'b' } },
        {
          port: { number: 3, protocol: 'HTTPS', name: 'c' },
          defaultEndpoint: '127.0.0.1:3',
          tls: { mode: 'SIMPLE', serverCertificate: '/c', privateKey: '/k' },
        },
      ],
      egress: [
        { port: { number: 4, protocol: 'TCP', name: 'd' }, hosts: ['./*'] },
        { port: { number: 0, protocol: 'TCP', name: 'e' }, bind: 'unix:///e.sock', hosts: ['./*'] },
        { captureMode: 'NONE', hosts: ['./*'] },
      ],
    },
  };
  const entry = { apiVersion: 'v1', kind: 'WorkloadEntry', metadata: { name: 'w', namespace: 'shop' }, spec: { address: '1.1.1.1', ports: { http: 9080 } } };
  const paths = (...objects: MeshObject[]): (string | undefined)[] =>
    analyzeObjects(objects)
      .filter((p) => p.code === 'WEFT_NO_EFFECT')
      .map((p) => p.path);
  expect(paths(sidecar, entry)).toEqual([
    ...['spec.ingress[1].captureMode', 'spec.ingress[2].defaultEndpoint', 'spec.ingress[3].tls'],
    ...['spec.egress[0].port', 'spec.egress[1].bind', 'spec.egress[2].captureMode'],
  ]);
  const off = { ...entry, kind: 'PeerAuthentication', spec: { mtls: { mode: 'DISABLE' } } };
  expect(paths(sidecar, off)).not.toContain('spec.ingress[3].tls');
});

test('a host is told as it was written, and in full only where that says more', () => {
  const messages = (host: string): string[] => analyse(object('DestinationRule', `{ host: ${host} }`)).map((p) => p.message);
  expect(messages('nowhere')).toEqual(['No Service has the host nowhere (nowhere.bookinfo.svc.cluster.local).']);
  expect(messages('gw.edge.svc.cluster.local')).toEqual(['No Service has the host gw.edge.svc.cluster.local.']);
});

test('portLevelMtls for a port nothing selected has is told, with those there are', () => {
  const about = (port: number, ...more: string[]): string[] => {
    const policy = `{ selector: { matchLabels: { app: reviews } }, portLevelMtls: { ${port}: { mode: STRICT } } }`;
    return analyse(object('PeerAuthentication', policy), ...more).map((p) => `${p.severity} ${p.code} ${p.path}: ${p.message}`);
  };
  expect(about(9081)).toEqual([
    'warning WEFT_UNKNOWN_PORT spec.portLevelMtls.9081: No workload this is for has a port 9081, so nothing comes of it. Ports of theirs, and of their Services: 9080.',
  ]);
  expect(about(9080)).toEqual([]);
  // The numbers of the workload itself, of where a Service leads, and of what a Sidecar opens.
  expect(about(7000, object('WorkloadEntry', '{ address: 127.0.0.1, ports: { http: 7000 }, labels: { app: reviews } }'))).toEqual([]);
  const second = object('Service', '{ selector: { app: reviews }, ports: [{ name: http, port: 80, targetPort: 7001 }] }', 'second');
  expect(about(7001, second.replace('networking.istio.io/v1', 'v1'))).toEqual([]);
  expect(about(7002, object('Sidecar', '{ ingress: [{ port: { number: 7002, protocol: HTTP, name: in }, defaultEndpoint: "127.0.0.1:7002" }] }'))).toEqual([]);
});

test('hosts of a ServiceEntry that a Service has are told, where both are seen, with what comes of it', () => {
  const entry = (namespace = 'bookinfo', more = ''): string =>
    object(
      'ServiceEntry',
      `{ hosts: [a.example.com, Reviews.bookinfo.svc.cluster.local], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: STATIC${more} }`,
    ).replace('namespace: bookinfo', `namespace: ${namespace}`);
  const told = (...texts: string[]): string[] => analyse(...texts).map((p) => `${p.severity} ${p.code} ${p.path}`);
  expect(told(entry())).toEqual(['warning WEFT_NO_EFFECT spec.hosts[1]']);
  expect(told(entry('bookinfo', ', endpoints: [{ address: 10.0.0.1 }]'))).toEqual(['info WEFT_SHARED_HOST spec.hosts[1]']);
  expect(told(entry('bookinfo', ', endpoints: [{ address: 10.0.0.1 }]').replace('name: http,', 'name: web,'))).toEqual([
    'warning WEFT_NO_EFFECT spec.hosts[1]',
  ]);
  expect(told(entry('other'))).toEqual(['warning WEFT_SHARED_HOST spec.hosts[1]']);
  expect(told(entry('other', ', exportTo: [bookinfo]'))).toEqual(['warning WEFT_NO_EFFECT spec.hosts[1]']);
  const own = object('Service', '{ ports: [{ name: http, port: 80 }] }', 'own').replace('networking.istio.io/v1', 'v1');
  const hidden = own.replace('name: own', 'annotations: { networking.istio.io/exportTo: . }, name: own');
  expect(told(hidden, entry('other').replace('Reviews', 'own'))).toEqual([]);
  expect(told(hidden, entry().replace('Reviews', 'own'))).toHaveLength(1);
});

test('a Service that is not exported to where a VirtualService counts is none for it', () => {
  const own = object('Service', '{ ports: [{ name: http, port: 80 }] }', 'own').replace('networking.istio.io/v1', 'v1');
  const exported = (to: string): string => own.replace('name: own', `annotations: { networking.istio.io/exportTo: "${to}" }, name: own`);
  const routed = (service: string, more = ''): string[] =>
    analyse(
      service,
      object('VirtualService', `{ hosts: [x.example.com], ${more} http: [{ route: [{ destination: { host: own.bookinfo.svc.cluster.local } }] }] }`).replace(
        'namespace: bookinfo',
        'namespace: other',
      ),
    ).map((p) => `${p.severity} ${p.code} ${p.path}: ${p.message}`);
  const hidden = (clients: string): string =>
    `error KIA1101 spec.http[0].route[0].destination.host: Service own.bookinfo.svc.cluster.local is not exported to ${clients}: requests are answered 503. Its annotation networking.istio.io/exportTo, of namespace bookinfo, says whom it is for.`;
  expect(routed(own)).toEqual([]);
  expect(routed(exported('.'))).toEqual([hidden('other')]);
  expect(routed(exported('other, third'))).toEqual([]);
  expect(routed(exported('third'), 'exportTo: [third],')).toEqual([]);
  expect(routed(exported('other'), 'exportTo: [third],')).toEqual([hidden('third')]);
});
