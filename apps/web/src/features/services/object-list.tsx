import type { ServiceObject } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { IconAlertOctagon, IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { DataTable } from '../../ui/data-table.tsx';
import { ObjectLink } from '../../ui/links.tsx';

const ROLE = {
  self: 'the service',
  endpoint: 'endpoint',
  routes: 'decides its routes',
  sends: 'sends requests to it',
  policy: 'sets policy',
} as const;

/** Configuration that has to do with a service, each with what is wrong with it. */
export function ObjectList({ objects }: { objects: readonly ServiceObject[] }): ReactElement {
  return (
    <DataTable
      rows={objects}
      rowKey={({ ref }) => refKey(ref)}
      label="objects"
      empty="No object has to do with this service."
      columns={[
        {
          title: 'Object',
          sort: (o) => o.ref.name,
          cell: ({ ref }) => (
            <ObjectLink of={ref} className="b brk">
              {ref.name}
            </ObjectLink>
          ),
        },
        { title: 'Kind', sort: (o) => o.ref.kind, cell: (o) => o.ref.kind },
        { title: 'Namespace', sort: (o) => o.ref.namespace, cell: (o) => o.ref.namespace },
        { title: 'What it does', sort: (o) => ROLE[o.role], cell: (o) => <span className="t2">{ROLE[o.role]}</span> },
        { title: 'Problems', sort: (o) => -(o.errors * 1_000 + o.warnings), cell: (o) => <ProblemCount errors={o.errors} warnings={o.warnings} /> },
      ]}
    />
  );
}

function ProblemCount({ errors, warnings }: { errors: number; warnings: number }): ReactElement {
  const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
  if (errors + warnings === 0)
    return (
      <span className="chip ok">
        <IconCircleCheck size={12} aria-hidden="true" />
        none
      </span>
    );
  return (
    <>
      {errors > 0 && (
        <span className="chip err">
          <IconAlertOctagon size={12} aria-hidden="true" />
          {count(errors, 'error')}
        </span>
      )}
      {warnings > 0 && (
        <span className="chip warn">
          <IconAlertTriangle size={12} aria-hidden="true" />
          {count(warnings, 'warning')}
        </span>
      )}
    </>
  );
}
