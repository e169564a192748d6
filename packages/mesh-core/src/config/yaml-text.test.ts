import { describe, expect, test } from 'vitest';
import { parseYaml, yamlPieces } from './yaml-text.ts';

test.each([
  ['# of a\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\n\nkind: A\n', ['# of a\n\nkind: A\n']],
  ['---\n# of a\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\n---\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\nkind: A\n---\n# of b\nkind: B\n', ['# of a\nkind: A\n', '# of b\nkind: B\n']],
  ['--- { kind: A }\n--- &b\nkind: B\n', ['--- { kind: A }\n', '--- &b\nkind: B\n']],
  ['kind: A\n# still of a\n--- # b\nkind: B\n', ['kind: A\n# still of a\n', 'kind: B\n']],
])('each document keeps the comments above it: %j', (text, documents) => {
  expect(parseYaml(text).documents.map((d) => d.text)).toEqual(documents);
  for (const kept of documents) expect(parseYaml(kept).documents.map((d) => d.text)).toEqual([kept]);
});

test('the pieces of a long text are its documents, at their lines', () => {
  const object = (i: number) => `kind: A\nmetadata: { name: a${i} } # ${'.'.repeat(100)}\nspec: |\n  --- no marker\n  ----\n`;
  const text = Array.from({ length: 1_000 }, (_, i) => `${object(i)}---${i % 2 === 0 ? '\r' : ' # next'}\n`).join('');
  const pieces = [...yamlPieces(text)];
  expect(pieces.length).toBeGreaterThan(3);
  expect(pieces.map((p) => p.text).join('')).toBe(text);
  const names = pieces.flatMap((p) => parseYaml(p.text, p.before).documents).map((d) => [d.locate(['metadata', 'name']).line, d.value]);
  expect(names).toEqual(Array.from({ length: 1_000 }, (_, i) => [6 * i + 2, { kind: 'A', metadata: { name: `a${i}` }, spec: '--- no marker\n----\n' }]));
  expect([...yamlPieces('')]).toEqual([{ text: '', before: 0 }]);
});

describe('documents that are known', () => {
  const known = (text: string) => (/^kind: [AB]\n(?:# after\n)?$/.test(text) ? text.trimEnd() : undefined);
  const cut = (text: string) => [...yamlPieces(text, known)].filter((p) => p.text !== '').map((p) => p.known ?? `${p.before}: ${p.text}`);
  test('are told apart from what is to be read', () => {
    expect(cut('kind: A\n---\nkind: C\n---\nkind: D\n---\nkind: B\n')).toEqual(['kind: A', '1: ---\nkind: C\n---\nkind: D\n', 'kind: B']);
    expect(cut('---\nkind: A\n# after\n---  \nkind: B\n')).toEqual(['kind: A\n# after', 'kind: B']);
  });
  test.each([
    '# above\n---\nkind: A\n',
    'kind: C\n---\n\n# above\n---\nkind: A\n',
    'kind: C\n...\n# above\n---\nkind: A\n',
    '%YAML 1.1\n---\nkind: A\n',
    '--- # beside\nkind: A\n',
    '--- &anchor\nkind: A\n',
  ])('are read all the same where something about them is new: %j', (text) => {
    expect(cut(text)).toEqual([`0: ${text}`]);
  });
});
