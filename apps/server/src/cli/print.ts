// Output forms of the command line.

import { toYaml } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';

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

export function show(objects: readonly MeshObject[], output: string, single: boolean): string {
  if (output === 'json') return JSON.stringify(single ? objects[0] : { kind: 'List', apiVersion: 'v1', items: objects }, undefined, 2);
  if (output === 'yaml') return objects.map(toYaml).join('---\n').trimEnd();
  return table(
    ['NAMESPACE', 'NAME', 'VERSION', 'CREATED'],
    objects.map((o) => [
      (o.metadata as { namespace?: string }).namespace ?? '',
      o.metadata.name,
      o.metadata.resourceVersion ?? '',
      o.metadata.creationTimestamp ?? '',
    ]),
  );
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
