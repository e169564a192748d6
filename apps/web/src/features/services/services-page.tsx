import { IconShield } from '@tabler/icons-react';
import type { ReactElement, ReactNode } from 'react';
import { HEALTH, type ServiceSummary } from '@weft/mesh-core/api';
import { useSecurity, useServices } from '../../data/hooks.ts';
import { useInNamespace } from '../../data/settings.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { millis, percent, traffic } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { ServiceLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { ListTabs } from './list-tabs.tsx';

interface Row extends ServiceSummary {
  /** An AuthorizationPolicy acts on some of its workloads. */
  guarded: boolean;
}

const COLUMNS: readonly Column<Row>[] = [
  {
    title: 'Service',
    sort: (s) => s.name,
    cell: (s) => (
      <span className="svcn">
        <ServiceLink namespace={s.namespace} name={s.name} className="b brk" />
        {s.guarded && (
          <span className="t2" role="img" aria-label="authorization policy" title="authorization policy">
            <IconShield size={14} />
          </span>
        )}
      </span>
    ),
  },
  { title: 'Namespace', sort: (s) => s.namespace, cell: (s) => s.namespace },
  { title: 'Health', sort: (s) => HEALTH.indexOf(s.health), cell: (s) => <HealthChip health={s.health} /> },
  { title: 'Ports', cell: (s) => <span className="t2">{s.ports.map((p) => `${p.port} ${p.protocol}`).join(', ')}</span> },
  {
    title: 'Endpoints',
    sort: (s) => s.workloads.length,
    cell: (s) => {
      const healthy = s.workloads.reduce((sum, w) => sum + w.healthyEndpoints, 0);
      const all = s.workloads.reduce((sum, w) => sum + w.endpoints, 0);
      return (
        <span className={`num ${healthy < all ? 'warnt' : ''}`} title={s.workloads.map((w) => w.name).join(', ')}>
          {all === 0 ? 'none' : `${healthy} of ${all}`}
        </span>
      );
    },
  },
  { title: 'Requests', right: true, sort: (s) => s.rps, cell: (s) => traffic(s.rps, s.tcpBytes) },
  { title: 'Errors', right: true, sort: (s) => s.errors, cell: (s) => (s.rps > 0 ? percent(s.errors) : '–') },
  { title: 'p95', right: true, sort: (s) => s.p95, cell: (s) => millis(s.p95) },
];

/** Services with their figures over the chosen range. */
export function ServicesTable({ tools }: { tools: ReactNode }): ReactElement {
  const services = useServices();
  const inNamespace = useInNamespace();
  const guarded = new Set(
    useSecurity()
      .data?.items.filter((w) => w.policies.some((p) => p.kind === 'AuthorizationPolicy'))
      .map((w) => `${w.namespace}/${w.workload}`),
  );
  const rows = services.data?.items
    .filter((s) => inNamespace(s.namespace))
    .map((s): Row => ({ ...s, guarded: s.workloads.some((w) => guarded.has(`${s.namespace}/${w.name}`)) }));
  if (rows === undefined) return <State error={services.error} />;
  return (
    <DataTable
      rows={rows}
      columns={COLUMNS}
      rowKey={(s) => s.host}
      label="services"
      text={(s) => `${s.name} ${s.namespace} ${s.health} ${s.workloads.map((w) => w.name).join(' ')}`}
      empty="No services here yet: a program joins with weft run, an object with weft apply."
      tools={tools}
    />
  );
}

/** All services. */
export function ServicesPage(): ReactElement {
  return (
    <div className="page">
      <div className="card">
        <ServicesTable tools={<ListTabs />} />
      </div>
    </div>
  );
}
