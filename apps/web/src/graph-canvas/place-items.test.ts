import { expect, test } from 'vitest';
import { placeItems } from './place-items.ts';

const sizesOf = (...ids: string[]): Map<string, { w: number; h: number }> => new Map(ids.map((id) => [id, { w: 120, h: 50 }]));
const overlap = (rects: Iterable<{ x: number; y: number; w: number; h: number }>): boolean => {
  const all = [...rects];
  return all.some((a, i) => all.slice(i + 1).some((b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h));
};

test('who calls stands left of who is called', () => {
  const places = placeItems(
    sizesOf('a', 'b', 'c'),
    [
      ['a', 'b'],
      ['b', 'c'],
    ],
    new Map(),
  );
  expect(['a', 'b', 'c'].map((id) => places.get(id)?.x).toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(['a', 'b', 'c'].map((id) => places.get(id)?.x));
});

test('sixty services without traffic make a block, not a column', () => {
  const ids = Array.from({ length: 60 }, (_, i) => `svc-${i}`);
  const homes = new Map(ids.map((id, i) => [id, `ns:${i % 6}`]));
  const places = placeItems(sizesOf('caller', 'called', ...ids), [['caller', 'called']], homes);
  expect(places.size).toBe(62);
  expect(overlap(places.values())).toBe(false);
  const all = [...places.values()];
  const wide = Math.max(...all.map((r) => r.x + r.w)) - Math.min(...all.map((r) => r.x));
  const high = Math.max(...all.map((r) => r.y + r.h)) - Math.min(...all.map((r) => r.y));
  expect(wide / high).toBeGreaterThan(0.8);
  expect(wide / high).toBeLessThan(3);
  // Namespaces do not mix.
  const spans = [...new Set(homes.values())].map((home) => {
    const own = ids.filter((id) => homes.get(id) === home).map((id) => places.get(id) ?? { x: 0, y: 0, w: 0, h: 0 });
    const [x, y] = [Math.min(...own.map((r) => r.x)), Math.min(...own.map((r) => r.y))];
    return { x, y, w: Math.max(...own.map((r) => r.x + r.w)) - x, h: Math.max(...own.map((r) => r.y + r.h)) - y };
  });
  expect(overlap(spans)).toBe(false);
});

test('what is idle in a namespace with traffic stays inside it, and the order of the parts does not matter', () => {
  const homes = new Map([
    ['a', 'ns:shop'],
    ['b', 'ns:shop'],
    ['idle', 'ns:shop'],
    ['other', 'ns:zoo'],
  ]);
  const places = placeItems(sizesOf('a', 'b', 'idle', 'other'), [['a', 'b']], homes);
  const bottom = Math.max(...['a', 'b', 'idle'].map((id) => (places.get(id)?.y ?? 0) + 50));
  expect(places.get('other')?.y).toBeGreaterThan(bottom);
  expect(overlap(places.values())).toBe(false);
  expect(placeItems(sizesOf('a'), [], new Map()).get('a')).toEqual({ x: 0, y: 0, w: 120, h: 50 });
});
