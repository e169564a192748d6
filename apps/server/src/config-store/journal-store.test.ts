import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WatchEvent } from './config-store.ts';
import { openJournalStore } from './journal-store.ts';

let dir: string;
const notices: string[] = [];
const openStore = () => openJournalStore({ dir, now: () => 1_764_000_000_000, log: (m) => notices.push(m) });
const put = (name: string, weight: number, resourceVersion?: string) => ({
  op: 'put' as const,
  object: object(name, weight),
  ...(resourceVersion === undefined ? {} : { resourceVersion }),
});
const object = (name: string, weight: number): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace: 'a' },
  spec: { weight },
});
const ref = (name: string) => ({ kind: 'VirtualService', namespace: 'a', name });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  notices.length = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('what was confirmed is there after a reopen, with its versions', async () => {
  const store = await openStore();
  await store.write([put('x', 1)], { actor: 'test' });
  await store.write([put('x', 2), put('y', 1)], { actor: 'test' });
  await store.close();
  const again = await openStore();
  expect(again.get(ref('x'))).toMatchObject({ spec: { weight: 2 }, metadata: { resourceVersion: '2', generation: 2 } });
  expect(again.list().items).toHaveLength(2);
  expect((await again.history({ limit: 10 })).map((c) => c.revision)).toEqual(['2', '1']);
  await again.close();
});

test('a stale resourceVersion is refused and nothing of the write happens', async () => {
  const store = await openStore();
  await store.write([put('x', 1)], { actor: 'test' });
  await expect(store.write([put('y', 1), put('x', 5, '7')], { actor: 'test' })).rejects.toMatchObject({ code: 'WEFT_CONFLICT' });
  await expect(store.write([put('x', 5, '')], { actor: 'test' })).rejects.toMatchObject({ code: 'WEFT_CONFLICT' });
  expect(store.get(ref('y'))).toBeUndefined();
  await store.close();
});

test('20 writers on one object: every accepted write is based on the one before it', async () => {
  const store = await openStore();
  await store.write([put('x', 0)], { actor: 'test' });
  let conflicts = 0;
  const increment = async (): Promise<void> => {
    for (;;) {
      const current = store.get(ref('x'));
      const weight = (current?.spec as { weight: number }).weight;
      try {
        await store.write([put('x', weight + 1, current?.metadata.resourceVersion)], { actor: 'test' });
        return;
      } catch {
        conflicts += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: 20 }, increment));
  expect((store.get(ref('x'))?.spec as { weight: number }).weight).toBe(20);
  expect(conflicts).toBeGreaterThan(0);
  await store.close();
});

test('a dry run and an unchanged object make no revision', async () => {
  const store = await openStore();
  await store.write([put('x', 1)], { actor: 'test' });
  await store.write([put('x', 2)], { actor: 'test', dryRun: true });
  expect((await store.write([put('x', 1)], { actor: 'test' })).changes).toEqual([]);
  expect(store.list().revision).toBe('1');
  await store.close();
});

test('a large write is planned in turns: others read meanwhile what was there before', async () => {
  const store = await openStore();
  const clock = vi.spyOn(performance, 'now');
  let now = 0;
  clock.mockImplementation(() => (now += 10));
  let planned = 0;
  const counted = (i: number) => ({
    op: 'put' as const,
    get object() {
      planned = i;
      return object(`x${i}`, 1);
    },
  });
  const written = store.write(
    Array.from({ length: 1_000 }, (_, i) => counted(i)),
    { actor: 'test' },
  );
  const second = store.write([put('x7', 2)], { actor: 'test' });
  for (let turns = 0; turns < 5; turns += 1) {
    await setImmediate();
    expect(store.list()).toEqual({ items: [], revision: '0' });
    expect(planned).toBeLessThan(999);
  }
  clock.mockRestore();
  expect((await written).changes).toHaveLength(1_000);
  expect((await second).changes.map((c) => [c.verb, c.after?.metadata.generation])).toEqual([['update', 2]]);
  await store.close();
});

test('a watch sees every commit once and in order, from where it asks', async () => {
  const store = await openStore();
  await store.write([put('x', 1)], { actor: 'test' });
  await store.write([put('x', 2)], { actor: 'test' });
  const seen: string[] = [];
  const stop = store.watch('1', (event: WatchEvent) => seen.push(event.type === 'commit' ? event.commit.revision : event.type));
  await store.write([put('x', 3)], { actor: 'test' });
  stop();
  await store.write([put('x', 4)], { actor: 'test' });
  expect(seen).toEqual(['2', '3']);
  store.watch('99', (event) => seen.push(event.type));
  expect(seen.at(-1)).toBe('expired');
  await store.close();
});

test('entries longer than what is read of a journal at once, and characters that lie across', async () => {
  const store = await openStore();
  const texts = [1, 2, 3].map((i) => `${'.'.repeat(i)}${'€'.repeat(500_000)}`);
  for (const [i, sourceYaml] of texts.entries()) await store.write([{ ...put(`x${i}`, 1), sourceYaml }], { actor: 'test' });
  await store.close();
  const again = await openStore();
  expect(texts.map((text, i) => again.sourceYaml(ref(`x${i}`)) === text)).toEqual([true, true, true]);
  await again.close();
});

test('a torn last line is cut off and told; damage further up is refused', async () => {
  const store = await openStore();
  await store.write([put('x', 1)], { actor: 'test' });
  await store.write([put('x', 2)], { actor: 'test' });
  await store.close();
  const file = join(dir, 'journal.jsonl');
  appendFileSync(file, '{"hash":"12');
  const again = await openStore();
  expect(again.list().revision).toBe('2');
  expect(notices.join()).toContain('cut off');
  await again.close();
  writeFileSync(file, readFileSync(file, 'utf8').replace('"weight":1', '"weight":9'));
  await expect(openStore()).rejects.toThrow(/damaged at line 1/);
});

test('a second writer is refused with the pid of the first', async () => {
  writeFileSync(join(dir, 'lock'), String(process.ppid));
  await expect(openStore()).rejects.toThrow(new RegExp(`pid ${process.ppid}`));
});

test('kill -9 in the middle of writes loses nothing that was confirmed', async () => {
  const script = join(dir, 'writer.mts');
  writeFileSync(
    script,
    `import { openJournalStore } from ${JSON.stringify(join(import.meta.dirname, 'journal-store.ts'))};
const store = await openJournalStore({ dir: ${JSON.stringify(dir)}, now: Date.now, log: () => undefined });
for (let i = 1; ; i += 1) {
  await store.write([{ op: 'put', object: { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'x', namespace: 'a' }, spec: { weight: i } } }], { actor: 'child' });
  process.stdout.write(i + '\\n');
}`,
  );
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: join(import.meta.dirname, '../..'),
  });
  let confirmed = 0;
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      confirmed = Number(chunk.toString('utf8').trim().split('\n').at(-1));
      if (confirmed > 50) child.kill('SIGKILL');
    });
    child.once('exit', () => resolve());
  });
  const store = await openStore();
  expect((store.get(ref('x'))?.spec as { weight: number }).weight).toBeGreaterThanOrEqual(confirmed);
  await store.close();
});
