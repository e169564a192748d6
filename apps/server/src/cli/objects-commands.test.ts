import { expect, test } from 'vitest';
import { joined } from './config-files.ts';
import { refsOf } from './objects-commands.ts';

const refs = (text: string) => refsOf(joined([{ name: 'a.yaml', text }]));

test('namespaces go last: each takes along what is in it', () => {
  expect(refs('kind: Namespace\nmetadata: { name: b }\n---\nkind: Service\nmetadata: { name: c, namespace: b }\n').map((r) => r.kind)).toEqual([
    'Service',
    'Namespace',
  ]);
});

test('what a file to be deleted does not say is told, and nothing goes', () => {
  expect(refs('kind: gateway\nmetadata: { name: a, namespace: b }\n---\nkind: Service\nmetadata: { name: c }\n')).toEqual([
    { kind: 'Gateway', namespace: 'b', name: 'a' },
    { kind: 'Service', namespace: 'default', name: 'c' },
  ]);
  const good = 'kind: Service\nmetadata: { name: c }\n---\n';
  for (const [text, why] of [
    ['# only\n', 'the files have no object'],
    [`${good}kind: [a\n`, 'line 5: Flow sequence'],
    [`${good}kind: Service\nmetadata:\n`, 'line 4: an object has no kind or no metadata.name'],
    [`${good}kind: Nothing\nmetadata: { name: c }\n`, 'Nothing is no kind of Weft'],
  ] as const)
    expect(() => refs(text)).toThrow(why);
});
