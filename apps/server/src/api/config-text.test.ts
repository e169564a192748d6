import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readText, readTextInTurns } from './config-text.ts';

test('a long text is read in turns: others have theirs meanwhile', async () => {
  const service = (i: number) => `apiVersion: v1\nkind: Service\nmetadata: { name: s${i} }\nspec: { ports: [{ port: 80 }] }\n---\n`;
  const text = Array.from({ length: 1_000 }, (_, i) => service(i)).join('');
  let turns = 0;
  let done = false;
  const others = async (): Promise<void> => {
    for (; !done; turns += 1) await turn();
  };
  const counting = others();
  const read = await readTextInTurns(`${text}${service(7)}`);
  done = true;
  await counting;
  expect(turns).toBeGreaterThan(2);
  expect(read.problems).toMatchObject([{ code: 'WEFT_DUPLICATE', line: 5_003 }]);
  expect(read.objects.map((o) => o.object)).toEqual(readText(`${text}${service(7)}`).objects.map((o) => o.object));
});
