import type { Problem } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { DataTable } from '../../ui/data-table.tsx';
import { ObjectLink } from '../../ui/links.tsx';

const RANK = { error: 0, warning: 1, info: 2 } as const;
const LOOK = { error: ['err', IconAlertOctagon], warning: ['warn', IconAlertTriangle], info: ['', IconInfoCircle] } as const;

/** Problems of stored objects, worst first, each with the way to its object. */
export function ProblemList({ problems }: { problems: readonly Problem[] }): ReactElement {
  const rows = problems.toSorted((a, b) => RANK[a.severity] - RANK[b.severity]).map((problem, i) => ({ problem, i }));
  return (
    <DataTable
      rows={rows}
      rowKey={(r) => r.i}
      label="problems"
      {...(rows.length > 8
        ? { text: ({ problem: p }: (typeof rows)[number]) => `${p.severity} ${p.code} ${p.message} ${p.ref?.kind} ${p.ref?.name} ${p.ref?.namespace}` }
        : {})}
      empty="No problems."
      columns={[
        {
          title: 'Severity',
          sort: (r) => RANK[r.problem.severity],
          cell: ({ problem }) => {
            const [tone, Icon] = LOOK[problem.severity];
            return (
              <span className={`chip ${tone}`}>
                <Icon size={12} aria-hidden="true" />
                {problem.severity}
              </span>
            );
          },
        },
        {
          title: 'Object',
          sort: (r) => r.problem.ref?.name ?? '',
          cell: ({ problem: { ref } }) =>
            ref === undefined ? (
              ''
            ) : (
              <ObjectLink of={ref}>
                {ref.kind} {ref.namespace}/{ref.name}
              </ObjectLink>
            ),
        },
        { title: 'Problem', cell: ({ problem }) => <span className="brk">{problem.message}</span> },
        { title: 'Code', sort: (r) => r.problem.code, cell: ({ problem }) => <span className="muted mono sm2">{problem.code}</span> },
      ]}
    />
  );
}
