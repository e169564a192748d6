// Output forms of the command line.

import { toYaml } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { tableOf } from '../api/kube/table.ts';

/** Columns as wide as their widest cell, two spaces apart. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** As a table these are the columns of `kubectl get`. */
export function show(kind: string, objects: readonly MeshObject[], output: string, single: boolean): string {
  if (output === 'json') return JSON.stringify(single ? objects[0] : { kind: 'List', apiVersion: 'v1', items: objects }, undefined, 2);
  if (output === 'yaml') return objects.map(toYaml).join('---\n').trimEnd();
  const { columnDefinitions, rows } = tableOf(kind, objects, '', Date.now());
  return table(
    ['NAMESPACE', ...columnDefinitions.map(({ name }) => name.toUpperCase())],
    rows.map(({ cells, object }) => [(object.metadata as { namespace?: string }).namespace ?? '', ...cells]),
  );
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
