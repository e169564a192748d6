import { setImmediate as turn } from 'node:timers/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseYaml } from '@weft/mesh-core/config';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ConfigStore } from '../config-store/config-store.ts';
import { openJournalStore } from '../config-store/journal-store.ts';
import { opsOf, readText, readTextInTurns } from './config-text.ts';

vi.mock('@weft/mesh-core/config', async (original) => {
  const real = await original<{ parseYaml: typeof parseYaml }>();
  return { ...real, parseYaml: vi.fn(real.parseYaml) };
});

let dir: string;
let store: ConfigStore;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'weft-text-'));
  store = await openJournalStore({ dir, now: Date.now, log: () => undefined });
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

test('a long text is read in turns: others have theirs meanwhile', async () => {
  const service = (i: number) => `apiVersion: v1\nkind: Service\nmetadata: { name: s${i} }\nspec: { ports: [{ port: 80 }] }\n---\n`;
  const text = Array.from({ length: 1_000 }, (_, i) => service(i)).join('');
  let turns = 0;
  let done = false;
  const others = async (): Promise<void> => {
    for (; !done; turns += 1) await turn();
  };
  const counting = others();
  const read = await readTextInTurns(`${text}${service(7)}`, store);
  done = true;
  await counting;
  expect(turns).toBeGreaterThan(2);
  expect(read.problems).toMatchObject([{ code: 'WEFT_DUPLICATE', line: 5_003 }]);
  expect(read.objects.map((o) => o.object)).toEqual(readText(`${text}${service(7)}`).objects.map((o) => o.object));
});

test('of a long text only documents that are not stored as they are are read', async () => {
  const service = (i: number, port = 80) => `apiVersion: v1\nkind: Service\nmetadata: { name: s${i} }\nspec: { ports: [{ port: ${port} }] } # ${i}\n`;
  const text = (port: number) => Array.from({ length: 1_000 }, (_, i) => service(i, i === 700 ? port : 80)).join('---\n');
  const apply = async (yaml: string) => {
    vi.mocked(parseYaml).mockClear();
    const read = await readTextInTurns(yaml, store);
    const pieces = vi.mocked(parseYaml).mock.calls.map(([piece]) => piece);
    return { read, pieces, commit: await store.write(opsOf(read, {}), { actor: 'test' }) };
  };
  expect((await apply(text(80))).commit.changes).toHaveLength(1_000);

  const again = await apply(text(80));
  expect(again.pieces.join('')).toBe('');
  expect(again.read.objects.map((o) => o.object)).toEqual(
    store.list().items.toSorted((a, b) => Number(a.metadata.name.slice(1)) - Number(b.metadata.name.slice(1))),
  );
  expect(again.commit.changes).toEqual([]);

  const one = await apply(text(81));
  expect(one.pieces.filter((piece) => piece !== '')).toEqual([`---\n${service(700, 81)}`]);
  expect(one.commit.changes.map((c) => [c.ref.name, c.verb])).toEqual([['s700', 'update']]);
  expect(one.read.objects[900]?.document.locate(['spec']).line).toBe(900 * 5 + 4);

  // What came without a text, or with a problem, is read.
  const { object } = one.read.objects[5] ?? {};
  if (object !== undefined) await store.write([{ op: 'put', object: { ...object, spec: { ports: [{ port: 1 }] } } }], { actor: 'kubectl' });
  expect((await apply(text(81))).commit.changes.map((c) => c.ref.name)).toEqual(['s5']);
  const twice = await apply(`${text(81)}---\n${service(7)}`).catch((error: unknown) => error);
  expect(twice).toMatchObject({ read: { problems: [{ code: 'WEFT_DUPLICATE', line: 5_003 }] } });
});
