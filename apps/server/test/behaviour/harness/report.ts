// The table at the end: case × data plane.

import type { Plane } from '../case.ts';

export interface Row {
  area: string;
  name: string;
  results: Partial<Record<Plane | 'mixed', { verdict: 'pass' | 'FAIL' | 'pending'; reason?: string }>>;
  differences: string[];
  differs?: Record<string, string> | undefined;
}

/** Without those the case says are meant. */
export const unmeant = ({ differs }: Row, differences: readonly string[]): string[] =>
  differences.filter((d) => !Object.keys(differs ?? {}).some((path) => d.includes(path)));

export function printTable(rows: readonly Row[], write: (text: string) => void): number {
  const width = Math.min(78, Math.max(...rows.map((r) => r.name.length), 4));
  const lines: string[] = [];
  let area = '';
  for (const row of rows) {
    if (row.area !== area) {
      area = row.area;
      lines.push('', `${area.padEnd(width + 2)}  embedded  envoy     mixed`);
    }
    const cell = (plane: Plane | 'mixed'): string => (row.results[plane]?.verdict ?? '-').padEnd(8);
    lines.push(`  ${row.name.padEnd(width)}  ${cell('embedded')}  ${cell('envoy')}  ${cell('mixed')}`.trimEnd());
    for (const [plane, { verdict, reason = '' }] of Object.entries(row.results))
      if (verdict !== 'pass') for (const line of reason.split('\n').slice(0, 3)) lines.push(`      ${plane}: ${line.slice(0, 400)}`);
  }
  for (const row of rows)
    for (const [path, why] of Object.entries(row.differs ?? {})) lines.push('', `meant to differ: ${row.area} / ${row.name}`, `  ${path}: ${why}`);
  const different = rows.filter((r) => r.differences.length > 0);
  for (const row of different) {
    lines.push('', `different: ${row.area} / ${row.name} (embedded | envoy)`);
    // The same thing in every step of a case is one difference.
    const distinct = new Map(row.differences.map((d) => [d.replace(/^step \d+\./, ''), d]));
    for (const difference of [...distinct.values()].slice(0, 12)) lines.push(`  ${difference}`);
  }
  lines.push('', `${rows.length} cases, ${different.length} differences`, '');
  write(lines.join('\n'));
  return different.length;
}
