import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';

function made(apiVersion: string, kind: string, name: string, spec: object): MeshObject {
  const { object, problems } = validateObject({ apiVersion, kind, metadata: { name, namespace: 'shop' }, spec });
  expect(problems).toEqual([]);
  return object as MeshObject;
}
const api = 'gateway.networking.k8s.io/v1';
const WORLD = [
  made('v1', 'Service', 'db', { ports: [{ name: 'tcp', port: 5432 }] }),
  made(api, 'Gateway', 'edge', { gatewayClassName: 'istio', listeners: [{ name: 'tcp', port: 1, protocol: 'TCP' }] }),
  made('networking.istio.io/v1', 'ServiceEntry', 'far', { hosts: ['*.far.test'], ports: [{ number: 1, name: 'tcp', protocol: 'TCP' }] }),
];
const told = (kind: string, parentRefs: object[] | undefined, ...backendRefs: object[]): string[] => {
  const route = made(api, kind, 'r', {
    ...(parentRefs === undefined ? {} : { parentRefs }),
    ...(kind === 'TLSRoute' ? { hostnames: ['x.test'] } : {}),
    rules: [{ backendRefs }],
  });
  return analyzeObjects([...WORLD, route]).flatMap((p) => (p.ref?.name === 'r' ? [`${p.code} ${p.path}`] : []));
};
const DB = { name: 'db', port: 5432 };
const ofService = (name: string, port?: number): object => ({ group: '', kind: 'Service', name, ...(port === undefined ? {} : { port }) });

test.each(['TCPRoute', 'TLSRoute'])('%s: what it is attached to is there, and where it leads', (kind) => {
  const entry = { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'far' };
  expect(
    told(kind, [ofService('db'), ofService('db', 5432), { name: 'edge' }, entry], DB, { group: 'networking.istio.io', kind: 'Hostname', name: 'x.far.test' }),
  ).toEqual([]);
});

test('parents that are not there, or nobody looks after', () => {
  expect(told('TCPRoute', undefined, DB)).toEqual(['WEFT_NO_PARENT spec.parentRefs']);
  expect(
    told('TCPRoute', [ofService('bd'), ofService('db', 1), { name: 'nope' }, { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'near' }], DB),
  ).toEqual([...['KIA1401 spec.parentRefs[0].name', 'KIA1401 spec.parentRefs[1].port', 'KIA1401 spec.parentRefs[2].name', 'KIA1401 spec.parentRefs[3].name']]);
  expect(told('TCPRoute', [{ group: 'example.com', kind: 'Mesh', name: 'x' }], DB)).toEqual(['WEFT_NO_EFFECT spec.parentRefs[0]']);
});

test('backends that are not there', () => {
  const unknown = [
    { name: 'bd', port: 5432 },
    { name: 'db', port: 1 },
    { group: 'networking.istio.io', kind: 'Hostname', name: 'near.test' },
    { group: 'example.com', kind: 'Bucket', name: 'b' },
  ];
  expect(told('TLSRoute', [ofService('db')], ...unknown)).toEqual([
    ...['KIA1402 spec.rules[0].backendRefs[0].name', 'KIA1402 spec.rules[0].backendRefs[1].port'],
    ...['KIA1402 spec.rules[0].backendRefs[2].name', 'KIA1402 spec.rules[0].backendRefs[3]'],
  ]);
});
