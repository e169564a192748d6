// Two cases with one object, or with a rule of the one for hosts of the other, are told of, by name.

import { expect, test } from 'vitest';
import { type Case, http, service } from '../case.ts';
import { rule } from '../cases/parts.ts';
import { sharedObjects, strayRules } from './own-names.ts';

const named = (name: string, more: Partial<Case>): Case => ({ area: 'x', name, steps: [], ...more });

test('an object of two cases is told with both names: as a service, as YAML, in the middle of a case', () => {
  const first = named('first', { services: [service('shop')], objects: rule('shop', 'timeout: 1s') });
  const yaml = named('second', { objects: rule('shop', 'timeout: 2s') });
  const later = named('third', {
    steps: [http({ expect: {} }), { kind: 'apply', objects: 'kind: Service\nmetadata: { name: shop }\nspec: { ports: [{ name: http, port: 80 }] }' }],
  });
  expect(sharedObjects([first, yaml])).toEqual([expect.stringMatching(/VirtualService.*shop: "x \/ first", and "x \/ second"$/)]);
  expect(sharedObjects([first, later])).toEqual([expect.stringMatching(/Service.*shop: "x \/ first", and "x \/ third"$/)]);
});

test('one case may write an object again; cases that run alone are taken back; a client of its own shares nothing', () => {
  const objects = rule('shop', 'timeout: 1s');
  const again = named('again', { objects, steps: [{ kind: 'apply', objects }] });
  expect(sharedObjects([again, named('own', { own: {}, objects })])).toEqual([]);
  const alone = ['one', 'two'].map((name) => named(name, { alone: true, objects }));
  expect(sharedObjects(alone)).toEqual([]);
  expect(sharedObjects([again, ...alone])).toHaveLength(2);
});

test('a rule for hosts of another case is told with both names: by a wildcard, of either kind, or an entry with the host of a Service', () => {
  const shop = named('shop', { services: [service('shop')], objects: rule('shop', 'timeout: 1s') });
  const stray = (kind: string, spec: string) => named('stray', { objects: `kind: ${kind}\nmetadata: { name: stray }\nspec: ${spec}` });
  const to = 'http: [{ route: [{ destination: { host: elsewhere.test } }] }]';
  const wild = '"*.$NS.svc.cluster.local"';
  const entry = 'hosts: [shop.$NS.svc.cluster.local], ports: [{ number: 80, name: http, protocol: HTTP }]';
  for (const other of [
    stray('VirtualService', `{ hosts: [${wild}], ${to} }`),
    stray('DestinationRule', `{ host: ${wild} }`),
    stray('ServiceEntry', `{ ${entry}, resolution: DNS }`),
  ])
    expect(strayRules([shop, other])).toContainEqual(expect.stringMatching(/stray: "x \/ stray", for shop\.of-embedded\.svc\.cluster\.local: "x \/ shop"$/));
  // Its own hosts, gateways' hosts, and what is there while nobody else is.
  const others = [
    stray('VirtualService', `{ hosts: [${wild}], gateways: [gw], ${to} }`),
    { ...stray('DestinationRule', `{ host: ${wild} }`), alone: true as const },
  ];
  for (const other of others) expect(strayRules([shop, other])).toEqual([]);
});
