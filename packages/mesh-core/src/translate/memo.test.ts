// What is remembered from mesh to mesh, on meshes of two texts.

import { expect, test } from 'vitest';
import { Memo, type Remembering, constant, derived, once, onceEntry, onceEntryFor, source, still } from './memo.ts';

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

test('of what a result was made from only that is looked up again whose sources have changed, and that once for all results', () => {
  const looked: string[] = [];
  const part = (mesh: Texts, name: string): string =>
    derived(mesh, `part ${name}`, (m) => {
      looked.push(name);
      return text(m, name).slice(0, 1);
    });
  const whole = (mesh: Texts, i: number): string => once(mesh, `whole ${i}`, () => part(mesh, 'a') + part(mesh, 'b'));
  const both = (mesh: Texts): string => whole(mesh, 1) + whole(mesh, 2);
  const first = follow({ a: 'a1', b: 'b1' });
  expect([both(first), looked.splice(0)]).toEqual(['abab', ['a', 'b']]);
  const second = follow({ a: 'a2', b: 'b1' }, first);
  expect([both(second), looked.splice(0)]).toEqual(['abab', ['a']]);
  // One that was not asked for meanwhile asks what has changed since it was.
  const third = follow({ a: 'a2', b: 'c1' }, second);
  expect([whole(third, 1), looked.splice(0)]).toEqual(['ac', ['b']]);
  const fourth = follow({ a: 'd1', b: 'c1' }, third);
  expect([both(fourth), looked.splice(0)]).toEqual(['dcdc', ['a']]);
});

test('a fact that came to be read from another source is looked up again when that changes, whichever result asks first', () => {
  const results = (mesh: Texts): string[] => [1, 2].map((i) => once(mesh, `result ${i}`, () => `${inner(mesh)}${text(mesh, 'c')}`));
  const first = follow({ a: '', b: 'plain', c: '.' });
  expect(results(first)).toEqual(['plain.', 'plain.']);
  const second = follow({ a: 'see b', b: 'plain', c: '.' }, first);
  // Only the first is asked for: it learns for both where the fact is read from now.
  expect(once(second, 'result 1', () => 'made again')).toBe('plain.');
  expect(results(follow({ a: 'see b', b: 'other', c: '.' }, second))).toEqual(['other.', 'other.']);
});

test('a result that is held on to is told by as long as it is so, in meshes that are tried and those that follow', () => {
  const make = (mesh: Texts) => onceEntry(mesh, 'result', () => inner(mesh));
  const first = follow({ a: 'see b', b: '1', c: '' });
  const entry = make(first);
  const tried = follow({ a: 'see b', b: '2', c: '' }, first);
  expect([still(tried, entry), make(tried).value]).toEqual([undefined, '2']);
  const second = follow({ a: 'see b', b: '1', c: 'c' }, first);
  expect(still(second, entry)).toBe(entry);
  expect(still(follow({ a: '', b: '1', c: 'c' }, second), entry)).toBe(undefined);
  expect(still(second, undefined)).toBe(undefined);
  expect(still(second, constant('always'))?.value).toBe('always');
});

test('what was made from a result that was held on to is made again with it', () => {
  const first = follow({ a: 'see b', b: '1' });
  const entry = onceEntry(first, 'part', () => inner(first));
  const whole = (mesh: Texts): string => once(mesh, 'whole', () => `<${(still(mesh, entry) ?? onceEntry(mesh, 'part', () => inner(mesh))).value}>`);
  expect(whole(first)).toBe('<1>');
  expect(whole(follow({ a: 'see b', b: '2' }, first))).toBe('<2>');
});

test('a result that is held on to and its parts are remembered for those who ask by key, however long nobody did', () => {
  let made = 0;
  const part = (mesh: Texts): string => once(mesh, 'part', () => `${text(mesh, 'a')}${(made += 1)}`);
  const whole = (mesh: Texts, who: { name: string }) => onceEntryFor(mesh, 'whole', who, ({ name }) => name + part(mesh));
  let mesh = follow({ a: 'a', b: '0' });
  const entry = whole(mesh, { name: 'x' });
  for (let i = 1; i < 500; i += 1) {
    mesh = follow({ a: 'a', b: String(i) }, mesh);
    expect(still(mesh, entry)).toBe(entry);
  }
  expect(whole(mesh, { name: 'x' })).toBe(entry);
  expect(whole(mesh, { name: 'y' }).value).toBe('ya1');
});
