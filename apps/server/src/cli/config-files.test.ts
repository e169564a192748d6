import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { expect, test } from 'vitest';
import { joined, readFiles } from './config-files.ts';

const block = 'kind: A # a comment\nmetadata:\n  name: a\nspec: 1\n';
const flow = 'kind: B\nmetadata: { name: b }\nspec: 1\n';
const part = (name: string, text: string) => ({ name, text });

test('lines of the whole are told as lines of the files', () => {
  const { text, placeOf } = joined([part('a.yaml', block), part('b.yaml', flow)]);
  const lines = text.split('\n');
  expect(placeOf(lines.indexOf('spec: 1') + 1)).toBe('a.yaml line 4');
  expect(placeOf(lines.lastIndexOf('spec: 1') + 1)).toBe('b.yaml line 3');
  expect(joined([part('a.yaml', block)]).placeOf(4)).toBe('line 4');
});

test('a namespace is written into objects that name none; comments stay, and so do the lines that are told', () => {
  const { text, placeOf } = joined([part('a.yaml', `${block}---\n${flow}`), part('c.yaml', block), part('d.yaml', block)], 'foo');
  expect(parseAllDocuments(text).map((d) => d.getIn(['metadata', 'namespace']) as unknown)).toEqual(['foo', 'foo', 'foo', 'foo']);
  expect(text).toContain('kind: A # a comment\nmetadata:\n  namespace: foo\n  name: a\n');
  const lines = text.split('\n');
  expect(placeOf(lines.indexOf('spec: 1') + 1)).toBe('a.yaml line 4');
  expect(placeOf(lines.indexOf('spec: 1', lines.indexOf('kind: B')) + 1)).toBe('a.yaml line 8');
  expect(placeOf(lines.lastIndexOf('metadata:') + 1)).toBe('d.yaml line 2');
  expect(placeOf(lines.lastIndexOf('spec: 1') + 1)).toBe('d.yaml line 4');
});

test('of a List each item', () => {
  const list =
    'apiVersion: v1\nkind: List\nitems:\n- kind: A\n  metadata:\n    name: a\n- kind: B\n  metadata: { name: b }\nmetadata: { resourceVersion: "" }\n';
  const [document] = parseAllDocuments(joined([part('list.yaml', list)], 'foo').text);
  expect([0, 1].map((i) => document?.getIn(['items', i, 'metadata', 'namespace']) as unknown)).toEqual(['foo', 'foo']);
  expect(document?.getIn(['metadata', 'namespace'])).toBeUndefined();
});

test('an object of another namespace is refused', () => {
  expect(() => joined([part('a.yaml', 'kind: A\nmetadata: { name: a, namespace: bar }\n')], 'foo')).toThrow('A a is of namespace bar, not foo');
});

test('more than the server takes at a time is told before it is sent', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'weft-files-')), 'huge.yaml');
  writeFileSync(file, `# ${'x'.repeat(4_194_304)}\n${block}`);
  expect(() => readFiles([file])).toThrow(/the files have 4194\d{3} bytes; at most 4194304 are taken at a time/);
});

test('a directory without configuration is told by its name', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-files-'));
  writeFileSync(join(dir, 'notes.txt'), block);
  expect(() => readFiles([dir])).toThrow(`${dir} has no file that ends in .yaml, .yml or .json`);
});
