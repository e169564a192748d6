// What is remembered from mesh to mesh, on meshes of two texts.

import { expect, test } from 'vitest';
import { Memo, type Remembering, derived, once, source } from './memo.ts';

interface Texts extends Remembering {
  memo: Memo<this>;
  texts: Readonly<Record<string, string>>;
}

function follow(texts: Readonly<Record<string, string>>, previous?: Texts): Texts {
  const memo = (previous?.memo ?? new Memo<Texts>()) as Texts['memo'];
  const facts: Texts['facts'] = new Map();
  const sources = memo.begin(facts, Object.keys(texts), previous?.sources ?? [], (name) => previous?.texts[name] === texts[name]);
  return { memo, texts, facts, sources };
}

const text = (mesh: Texts, name: string): string => source(mesh, name, ({ texts }) => texts[name] ?? '');
/** Reads `b` only where `a` says so. */
const inner = (mesh: Texts): string => derived(mesh, 'inner', (m) => (text(m, 'a') === 'see b' ? text(m, 'b') : 'plain'));

test('a result follows a source that only a later mesh made it depend on', () => {
  const outer = (mesh: Texts): string => once(mesh, 'outer', () => `<${inner(mesh)}>`);
  const first = follow({ a: '', b: 'plain' });
  expect(outer(first)).toBe('<plain>');
  const second = follow({ a: 'see b', b: 'plain' }, first);
  expect(outer(second)).toBe('<plain>');
  expect(outer(follow({ a: 'see b', b: 'other' }, second))).toBe('<other>');
});

test('a result is made once and compared only where one of its sources has changed, also between a mesh that was tried and the next', () => {
  let made = 0;
  let read = 0;
  const counted = (mesh: Texts): string =>
    once(mesh, 'counted', () => {
      made += 1;
      return source(mesh, 'a', ({ texts }) => {
        read += 1;
        return texts['a'] ?? '';
      });
    });
  const first = follow({ a: '1', b: '1' });
  expect(counted(first)).toBe('1');
  expect(counted(follow({ a: '1', b: '2' }, first))).toBe('1');
  expect([made, read]).toEqual([1, 1]);
  expect(counted(follow({ a: '2', b: '1' }, first))).toBe('2');
  expect([made, read]).toEqual([2, 2]);
  expect(counted(follow({ a: '1', b: '3' }, first))).toBe('1');
  expect(counted(follow({ b: '3' }, first))).toBe('');
});

test('a mesh keeps its look-ups until the next one is made, and is right when it is asked again', () => {
  const outer = (mesh: Texts): string => once(mesh, 'outer', () => inner(mesh) + text(mesh, 'b'));
  const first = follow({ a: 'see b', b: '1' });
  expect(outer(first)).toBe('11');
  expect(first.facts.size).toBeGreaterThan(0);
  const second = follow({ a: 'see b', b: '2' }, first);
  expect(first.facts.size).toBe(0);
  expect([outer(second), outer(first), outer(second)]).toEqual(['22', '11', '22']);
});

test('parts of a result in use are remembered, however long it was not made of them again; what is not in use is forgotten', () => {
  const made = { part: 0, other: 0 };
  const part = (mesh: Texts): string => once(mesh, 'part', () => `${text(mesh, 'a')}${(made.part += 1)}`);
  const whole = (mesh: Texts): string => once(mesh, 'whole', () => part(mesh) + text(mesh, 'b'));
  const other = (mesh: Texts): string => once(mesh, 'other', () => `${text(mesh, 'a')}${(made.other += 1)}`);
  let mesh = follow({ a: 'a', b: 'b', c: '0' });
  expect(whole(mesh) + other(mesh)).toBe('a1ba1');
  for (let i = 1; i < 500; i += 1) {
    mesh = follow({ a: 'a', b: 'b', c: String(i) }, mesh);
    whole(mesh);
  }
  mesh = follow({ a: 'a', b: 'd', c: '' }, mesh);
  expect(whole(mesh)).toBe('a1d');
  expect(other(mesh)).toBe('a2');
});
