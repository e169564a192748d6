// Two cases with one object are told of, by name.

import { expect, test } from 'vitest';
import { type Case, http, service } from '../case.ts';
import { rule } from '../cases/parts.ts';
import { sharedObjects } from './own-names.ts';

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
