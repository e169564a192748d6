import { expect, test } from 'vitest';
import { parseYaml } from './yaml-text.ts';

test.each([
  ['# of a\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\n\nkind: A\n', ['# of a\n\nkind: A\n']],
  ['---\n# of a\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\n---\nkind: A\n', ['# of a\nkind: A\n']],
  ['# of a\nkind: A\n---\n# of b\nkind: B\n', ['# of a\nkind: A\n', '# of b\nkind: B\n']],
  ['kind: A\n# still of a\n--- # b\nkind: B\n', ['kind: A\n# still of a\n', 'kind: B\n']],
])('each document keeps the comments above it: %j', (text, documents) => {
  expect(parseYaml(text).documents.map((d) => d.text)).toEqual(documents);
  for (const kept of documents) expect(parseYaml(kept).documents.map((d) => d.text)).toEqual([kept]);
});
