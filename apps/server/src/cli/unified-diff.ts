// Two texts as `diff -u` shows them.

/** Lines around a change. */
const CONTEXT = 3;

interface Line {
  mark: ' ' | '-' | '+';
  text: string;
}

/** Nothing where the texts are equal. */
export function unifiedDiff(before: string, after: string, names: { before: string; after: string }): string {
  const lines = editsOf(linesOf(before), linesOf(after));
  const changed = lines.flatMap(({ mark }, at) => (mark === ' ' ? [] : [at]));
  if (changed.length === 0) return '';
  const hunks: { from: number; to: number }[] = [];
  for (const at of changed) {
    const last = hunks.at(-1);
    const to = Math.min(lines.length, at + CONTEXT + 1);
    if (last !== undefined && at - CONTEXT <= last.to) last.to = to;
    else hunks.push({ from: Math.max(0, at - CONTEXT), to });
  }
  return [`--- ${names.before}`, `+++ ${names.after}`, ...hunks.flatMap(({ from, to }) => hunkOf(lines, from, to))].join('\n');
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function hunkOf(lines: readonly Line[], from: number, to: number): string[] {
  const count = (part: readonly Line[], not: '-' | '+'): number => part.filter(({ mark }) => mark !== not).length;
  const side = (not: '-' | '+'): string => {
    const length = count(lines.slice(from, to), not);
    const start = count(lines.slice(0, from), not) + (length === 0 ? 0 : 1);
    return length === 1 ? String(start) : `${start},${length}`;
  };
  return [`@@ -${side('+')} +${side('-')} @@`, ...lines.slice(from, to).map(({ mark, text }) => mark + text)];
}

/** By the longest common subsequence of what is between equal ends. */
function editsOf(before: readonly string[], after: readonly string[]): Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const old = before.slice(start, before.length - end);
  const now = after.slice(start, after.length - end);
  const width = now.length + 1;
  // length[i * width + j]: of the longest common subsequence of old[i..] and now[j..].
  const length = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number): number => length[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1) length[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const same = (text: string): Line => ({ mark: ' ', text });
  const middle: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    const [was = '', is = ''] = [old[i], now[j]];
    if (i < old.length && j < now.length && was === is) {
      middle.push(same(was));
      i += 1;
      j += 1;
    } else if (j >= now.length || (i < old.length && at(i + 1, j) >= at(i, j + 1))) {
      middle.push({ mark: '-', text: was });
      i += 1;
    } else {
      middle.push({ mark: '+', text: is });
      j += 1;
    }
  }
  return [...before.slice(0, start).map(same), ...middle, ...before.slice(before.length - end).map(same)];
}
