import { expect, test } from 'vitest';
import { createPushQueue } from './push-queue.ts';

/** A queue whose pushes are written down as `client:reasons`; a push of `slow` takes longer than a turn. */
function queue(full: Set<string> = new Set()) {
  const pushed: string[] = [];
  const line = createPushQueue<string, number>({
    push: (client, reasons) => {
      pushed.push(`${client}:${reasons.join('+')}`);
      if (!client.startsWith('slow')) return;
      const end = performance.now() + 10;
      while (performance.now() < end);
    },
    congested: (client) => full.has(client),
    waited: () => undefined,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { line, pushed, turn };
}

test('a few are told at once; a long line is cut into turns, and edits meanwhile are told together', async () => {
  const { line, pushed, turn } = queue();
  line.add(['a', 'b'], [1]);
  expect(pushed).toEqual(['a:1', 'b:1']);
  line.add(['slow1', 'slow2', 'c'], [2]);
  expect(pushed.slice(2)).toEqual(['slow1:2']);
  line.add(['a', 'slow2', 'c'], [3]);
  expect([1, 2, 3].map((reason) => line.holds((r) => r === reason))).toEqual([false, true, true]);
  while (line.size > 0) await turn();
  expect(pushed.slice(2)).toEqual(['slow1:2', 'slow2:2+3', 'c:2+3', 'a:3']);
});

test('a client with full buffers is left aside until they drain, then told the newest once', async () => {
  const full = new Set(['stuck']);
  const { line, pushed, turn } = queue(full);
  line.add(['stuck', 'a'], [1]);
  line.add(['stuck', 'a'], [2]);
  expect(pushed).toEqual(['a:1', 'a:2']);
  expect(line.size).toBe(1);
  expect(line.holds((reason) => reason === 1)).toBe(true);
  full.clear();
  line.drained('stuck');
  await turn();
  expect(pushed.at(-1)).toBe('stuck:1+2');
  expect(line.size).toBe(0);
});

test('a client that is gone is not told', async () => {
  const { line, pushed, turn } = queue(new Set(['stuck']));
  line.add(['slow', 'gone', 'stuck'], [1]);
  expect(line.remove('gone')).toEqual([1]);
  await turn();
  line.remove('stuck');
  line.drained('stuck');
  await turn();
  expect(pushed).toEqual(['slow:1']);
});
