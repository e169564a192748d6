import { expect, test } from 'vitest';
import { jsonPatch } from './json-patch.ts';

const vs = { metadata: { name: 'a' }, spec: { hosts: ['x', 'y'], http: [{ weight: 90 }, { weight: 10 }] } };

test.each([
  [[{ op: 'replace', path: '/spec/http/0/weight', value: 80 }], { http: [{ weight: 80 }, { weight: 10 }] }],
  [[{ op: 'add', path: '/spec/hosts/1', value: 'n' }], { hosts: ['x', 'n', 'y'] }],
  [[{ op: 'add', path: '/spec/hosts/-', value: 'n' }], { hosts: ['x', 'y', 'n'] }],
  [[{ op: 'remove', path: '/spec/http/0' }], { http: [{ weight: 10 }] }],
  [[{ op: 'move', from: '/spec/hosts/0', path: '/spec/hosts/1' }], { hosts: ['y', 'x'] }],
  [[{ op: 'copy', from: '/spec/hosts/0', path: '/spec/a~1b~0c' }], { 'a/b~c': 'x' }],
  [
    [
      { op: 'test', path: '/spec/hosts', value: ['x', 'y'] },
      { op: 'replace', path: '/spec/hosts/0', value: null },
    ],
    { hosts: [null, 'y'] },
  ],
])('%j', (patch, changed) => {
  const before = structuredClone(vs);
  expect(jsonPatch(vs, patch)).toEqual({ ...vs, spec: { ...vs.spec, ...changed } });
  expect(vs).toEqual(before);
});

test.each([
  [[{ op: 'replace', path: '/spec/nope', value: 1 }], 'there is no /spec/nope'],
  [[{ op: 'remove', path: '/spec/hosts/2' }], '2 is no place in a list of 2'],
  [[{ op: 'add', path: '/spec/hosts/3', value: 1 }], '3 is no place in a list of 2'],
  [[{ op: 'add', path: '/metadata/name/x', value: 1 }], 'nothing that could hold x'],
  [[{ op: 'test', path: '/metadata/name', value: 'b' }], '[0] test: /metadata/name is "a"'],
  [[{ op: 'add', path: '/a' }], '[0] add needs a value'],
  [[{ op: 'frob', path: '/a' }], 'must be add, remove'],
  [[{ op: 'remove', path: 'a' }], '[0].path must be a path'],
  [[null], 'must be a path'],
  [{}, 'a list of operations'],
  [Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '', path: `/a${i}` })), 'bytes are copied'],
])('is refused: %j', (patch, message) => {
  expect(() => jsonPatch(vs, patch)).toThrow(message);
});

test('no patch reaches a prototype', () => {
  jsonPatch(vs, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
  expect(() => jsonPatch(vs, [{ op: 'add', path: '/constructor/prototype/polluted', value: true }])).toThrow('there is no /constructor');
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
});
